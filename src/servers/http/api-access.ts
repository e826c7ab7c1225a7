import type { FastifyInstance, FastifyRequest } from 'fastify';
import { carriesToken } from '../../access/bearer-token.ts';
import type { ErrorCode } from '../../media/errors.ts';
import type { ErrorBody } from './errors.ts';

export interface ApiAccessOptions {
  /** What operators have to show; null lets in this computer only. */
  readonly token: () => string | null;
  readonly onDenied: (peer: string, code: ErrorCode) => void;
}

/** Any of these means that a proxy passes on what may come from anywhere. */
const PROXY_HEADERS = [
  'forwarded',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
] as const;
const LOOPBACK_ADDRESS = /^(?:::ffff:)?127(?:\.\d{1,3}){3}$|^::1$/;
const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/** Lets only operators into everything that is registered in this scope. */
export function guardApi(scope: FastifyInstance, { token, onDenied }: ApiAccessOptions): void {
  scope.addHook('onRequest', async (request, reply) => {
    const wanted = token();
    const denied =
      wanted === null
        ? refuseUnlessLocal(request)
        : carriesToken(request.headers.authorization, wanted)
          ? null
          : UNAUTHORIZED;
    if (denied === null) return;
    onDenied(request.ip, denied.code);
    if (denied === UNAUTHORIZED) reply.header('www-authenticate', 'Bearer');
    return reply
      .code(denied === UNAUTHORIZED ? 401 : 403)
      .header('cache-control', 'no-store')
      .send(denied);
  });
  scope.addHook('onSend', async (_request, reply) => {
    // An app that has the plugin may let other sites read everything; these answers are not for them.
    reply.removeHeader('access-control-allow-origin');
    return undefined;
  });
}

const UNAUTHORIZED: ErrorBody = {
  code: 'SLUICE_API_UNAUTHORIZED',
  message: 'The API and the metrics need "Authorization: Bearer <token>" with the value of api.token.',
};

/**
 * Without a token being on this computer is the only proof. It must be the peer's own: not that of a proxy which runs
 * here, nor of a browser here that some page on the Internet makes ask.
 */
function refuseUnlessLocal(request: FastifyRequest): ErrorBody | null {
  const { headers, method, raw } = request;
  if (!LOOPBACK_ADDRESS.test(raw.socket.remoteAddress ?? ''))
    return refused('the request comes from elsewhere');
  // HTTP/1.0 is what nginx speaks to its upstream, without any of the headers, unless told otherwise.
  if (raw.httpVersionMajor === 1 && raw.httpVersionMinor === 0)
    return refused('HTTP/1.0 is what a proxy speaks');
  const proxied = PROXY_HEADERS.find((name) => headers[name] !== undefined);
  if (proxied !== undefined) return refused(`the header ${proxied} shows a proxy`);
  const host = headers.host ?? headers[':authority'];
  // A foreign name that resolves to 127.0.0.1 makes its page and us the same site in the browser's eyes.
  if (typeof host !== 'string' || !LOOPBACK_HOST.test(host))
    return refused('its Host is not a loopback name');
  if (method === 'GET' || method === 'HEAD') return null;
  const { origin } = headers;
  const foreign = origin !== undefined && !isOriginOf(origin, host);
  if (foreign || headers['sec-fetch-site'] === 'cross-site') return refused('a page of another site asks');
  return null;
}

function refused(reason: string): ErrorBody {
  return {
    code: 'SLUICE_API_LOOPBACK_ONLY',
    message: `Without api.token the API and the metrics are for this computer only, and ${reason}. Configure api.token and send it as "Authorization: Bearer <token>".`,
  };
}

function isOriginOf(origin: string, host: string): boolean {
  return origin === `http://${host}` || origin === `https://${host}`;
}
