import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * Whether an Authorization header carries this token. What is compared are digests, so that the time it takes tells
 * neither how much of a guess was right nor how long the token is.
 *
 * @param authorization the header as it came; its scheme is case-insensitive (RFC 9110 11.1)
 */
export function carriesToken(authorization: string | undefined, token: string): boolean {
  const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  return given !== undefined && timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
