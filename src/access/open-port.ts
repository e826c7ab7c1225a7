import { isLoopback } from './address-rules.ts';

/** What of the configuration decides it. */
export interface PublishingRules {
  readonly host?: string | undefined;
  readonly publish: { readonly keys: readonly unknown[]; readonly allow: readonly unknown[] };
  readonly callback: { readonly url?: string | undefined; readonly actions: readonly string[] };
}

/** Nothing is asked of whoever reaches the RTMP port, and not only this computer does. */
export function anybodyCanPublish({ host, publish, callback }: PublishingRules): boolean {
  if (host !== undefined && (isLoopback(host) || host === 'localhost')) return false;
  const asked = callback.url !== undefined && callback.actions.includes('publish');
  return publish.keys.length === 0 && publish.allow.length === 0 && !asked;
}
