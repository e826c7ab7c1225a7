import { createHmac, timingSafeEqual } from 'node:crypto';

/** What a token lets its holder play. */
export interface PlaybackGrant {
  readonly app: string;
  readonly name: string;
  /** Unix time in seconds. */
  readonly expires: number;
}

/** Clocks of the signer and of this computer may differ by this much. */
const CLOCK_SKEW_SECONDS = 60;
const TOKEN = /^([1-9]\d{0,11})\.([A-Za-z0-9_-]{43})$/;

/**
 * Makes the `token` parameter of a signed playlist address: `<expires>.<signature>`, where the signature is the
 * HMAC-SHA-256 over version, stream and expiry, each on a line of its own, in base64url.
 *
 * @param grant.expires Unix seconds; choose it later than the viewer will stop watching
 * @example
 * ```ts
 * const token = signPlayback(secret, { app: 'live', name: 'test', expires: Date.now() / 1000 + 6 * 3600 });
 * const address = `https://video.example.org/hls/test.m3u8?token=${token}`;
 * ```
 */
export function signPlayback(secret: string, grant: PlaybackGrant): string {
  const expires = Math.floor(grant.expires);
  return `${expires}.${signature(secret, { ...grant, expires })}`;
}

/** @param now Unix time in seconds */
export function isValidPlaybackToken(
  token: string,
  { app, name }: Pick<PlaybackGrant, 'app' | 'name'>,
  secrets: readonly string[],
  now: number,
): boolean {
  const [, expiresText, signed] = TOKEN.exec(token) ?? [];
  if (expiresText === undefined || signed === undefined) return false;
  const expires = Number(expiresText);
  if (now > expires + CLOCK_SKEW_SECONDS) return false;
  // The text, not the bytes: the last character of the text has bits that are in no byte, and a token has one spelling.
  const given = Buffer.from(signed);
  return secrets.some((secret) => {
    const expected = Buffer.from(signature(secret, { app, name, expires }));
    return timingSafeEqual(expected, given);
  });
}

function signature(secret: string, { app, name, expires }: PlaybackGrant): string {
  return createHmac('sha256', secret).update(`sluice-play-1\n${app}/${name}\n${expires}`).digest('base64url');
}
