import type { PlayAccess } from '../../src/servers/http/hls-routes.ts';

/** Everybody may play everything. */
export const OPEN_ACCESS: PlayAccess = { isOpen: () => true, enter: () => null, follow: () => {} };
