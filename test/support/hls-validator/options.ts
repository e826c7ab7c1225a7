export type HttpRequest = { method: 'GET' | 'HEAD' | 'OPTIONS'; headers: Record<string, string> };
/** Header names in lower case; the body exactly as it came, neither decoded nor redirected. */
export type HttpResponse = { status: number; headers: Record<string, string>; body: Uint8Array };
export type RequestFunction = (url: string, request: HttpRequest) => Promise<HttpResponse>;

export type ValidatorOptions = {
  request?: RequestFunction;
  now?: () => number;
  sleep?: (milliseconds: number) => Promise<unknown>;
  /** Sent with every request, for example an authorization. */
  headers?: Record<string, string>;
  /** Active HTTP checks (ranges, HEAD, unknown names, lifetime of removed segments). Default true. */
  probe?: boolean;
  /** Checks that do not apply in a test, for example ['P6']. */
  ignore?: readonly string[];
  /** Added to the 1.5 target durations of P7, for busy machines. */
  updateSlackMilliseconds?: number;
};

export type WatchOptions = { until: AbortSignal | (() => boolean); intervalMs: number };
