/** Where to ask, and what to do when nobody answers. */
export interface CallbackSettings {
  readonly url?: string | undefined;
  readonly actions: readonly ('publish' | 'play')[];
  /** Seconds. */
  readonly timeout: number;
  readonly onError: 'deny' | 'allow';
}

/** What the callback gets as JSON. */
export interface CallbackQuestion {
  readonly action: 'publish' | 'play';
  readonly app: string;
  /** The public name, never a stream key. */
  readonly name: string;
  /** Of the encoder or the viewer. */
  readonly address: string;
  /** What stood behind `?` in the stream key or the playlist's address, as it came. */
  readonly query: string;
}

/** `failed` says that the callback itself did not work, and `allowed` what the settings make of that. */
export interface CallbackVerdict {
  readonly allowed: boolean;
  readonly failed: string | null;
}

/**
 * Redirects are not followed: an answer that is neither 2xx nor 5xx is a refusal.
 *
 * @param leftMs what is left of the timeout when the question had to wait
 */
export async function askCallback(
  { url, timeout, onError }: CallbackSettings & { readonly url: string },
  question: CallbackQuestion,
  leftMs = timeout * 1000,
): Promise<CallbackVerdict> {
  try {
    const { address, authorization } = withoutCredentials(url);
    const response = await fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'sluice', ...authorization },
      body: JSON.stringify(question),
      redirect: 'manual',
      signal: AbortSignal.timeout(Math.ceil(leftMs)),
    });
    // The answer's body means nothing, not even that it breaks off, and must not hold the connection.
    await response.body?.cancel().catch(() => {});
    if (response.status < 500) return { allowed: response.ok, failed: null };
    return { allowed: onError === 'allow', failed: `it answered ${response.status}` };
  } catch (error) {
    return { allowed: onError === 'allow', failed: reasonOf(error, timeout) };
  }
}

/** `fetch` takes no address with a password in it; servers know the password as a header. */
function withoutCredentials(url: string): { address: URL; authorization: Record<string, string> } {
  const address = new URL(url);
  const { username, password } = address;
  if (username === '' && password === '') return { address, authorization: {} };
  address.username = '';
  address.password = '';
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    address,
    authorization: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
  };
}

/** Without the address: it may hold a password. */
function reasonOf(error: unknown, timeout: number): string {
  if (!(error instanceof Error)) return 'the request failed';
  if (error.name === 'TimeoutError') return `no answer within ${timeout} s`;
  const { cause } = error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : null;
  return code === null ? 'the request failed' : `the request failed (${code})`;
}
