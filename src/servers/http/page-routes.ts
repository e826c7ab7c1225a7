import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

/** Nothing from elsewhere, and in nobody's frame: a hidden dashboard could be clicked through. */
const STRICT_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/** The player may be embedded; hls.js needs blob: for its worker and its media source, the page for pictures of streams. */
const PLAYER_POLICY =
  "default-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; img-src 'self' data: blob:; frame-ancestors *";

/** The player page, the dashboard and, beside them, hls.js from its npm package. */
export async function pageRoutes(app: FastifyInstance): Promise<void> {
  const page = join(dirname(fileURLToPath(import.meta.url)), '../../../public');
  const hlsJs = dirname(fileURLToPath(import.meta.resolve('hls.js')));
  app.addHook('onSend', async (_request, reply) => {
    // Addresses may carry a playback token: no request tells where it came from.
    reply.header('x-content-type-options', 'nosniff').header('referrer-policy', 'no-referrer');
    return undefined;
  });
  await app.register(fastifyStatic, { root: page, cacheControl: false, setHeaders });
  const folder = app.prefix.split('/').at(-1);
  if (folder !== undefined && folder !== '') {
    // The page's own addresses are relative: without the slash at its end they would miss the prefix.
    app.get('/', { prefixTrailingSlash: 'no-slash' }, (request, reply) => {
      const query = request.url.indexOf('?');
      return reply.redirect(`${folder}/${query < 0 ? '' : request.url.slice(query)}`, 301);
    });
  }
  app.get('/dashboard', (_request, reply) => reply.sendFile('dashboard.html'));
  app.get('/vendor/hls.min.mjs', (_request, reply) => reply.sendFile('hls.min.mjs', hlsJs));
}

function setHeaders(response: { setHeader(name: string, value: string): void }, file: string): void {
  // Files change with a new version of Sluice; asking is cheap, an old page is not.
  response.setHeader('cache-control', 'no-cache');
  response.setHeader(
    'content-security-policy',
    basename(file) === 'index.html' ? PLAYER_POLICY : STRICT_POLICY,
  );
}
