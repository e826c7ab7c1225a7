import { isLoopback } from './address-rules.ts';

/** What of the settings of an application decides it. */
export interface PublishingRules {
  readonly publish: { readonly keys: readonly unknown[]; readonly allow: readonly unknown[] };
  readonly callback: { readonly url?: string | undefined; readonly actions: readonly string[] };
}

/**
 * Names the applications in which nothing is asked of whoever reaches the RTMP port, if not only this computer does.
 *
 * @param host where the port is open; undefined for all addresses
 */
export function openApplications(
  host: string | undefined,
  rules: Iterable<readonly [app: string, PublishingRules]>,
): string[] {
  if (host !== undefined && (isLoopback(host) || host === 'localhost')) return [];
  return [...rules].filter(([, app]) => asksNothing(app)).map(([name]) => name);
}

function asksNothing({ publish, callback }: PublishingRules): boolean {
  const asked = callback.url !== undefined && callback.actions.includes('publish');
  return publish.keys.length === 0 && publish.allow.length === 0 && !asked;
}
