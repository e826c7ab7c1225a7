import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

/** The page loads nothing from elsewhere; hls.js needs blob: for its worker and its media source. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; img-src 'self' data:; frame-ancestors *";

/** The player page and, beside it, hls.js from its npm package. */
export async function pageRoutes(app: FastifyInstance): Promise<void> {
  const page = join(dirname(fileURLToPath(import.meta.url)), '../../../public');
  const hlsJs = dirname(fileURLToPath(import.meta.resolve('hls.js')));
  app.addHook('onSend', async (_request, reply) => {
    reply
      .header('content-security-policy', CONTENT_SECURITY_POLICY)
      .header('x-content-type-options', 'nosniff');
    return undefined;
  });
  await app.register(fastifyStatic, { root: page, cacheControl: false, setHeaders: revalidate });
  const folder = app.prefix.split('/').at(-1);
  if (folder !== undefined && folder !== '') {
    // The page's own addresses are relative: without the slash at its end they would miss the prefix.
    app.get('/', { prefixTrailingSlash: 'no-slash' }, (request, reply) => {
      const query = request.url.indexOf('?');
      return reply.redirect(`${folder}/${query < 0 ? '' : request.url.slice(query)}`, 301);
    });
  }
  app.get('/vendor/hls.min.mjs', (_request, reply) => reply.sendFile('hls.min.mjs', hlsJs));
}

/** Files change with a new version of Sluice; asking is cheap, an old page is not. */
function revalidate(response: { setHeader(name: string, value: string): void }): void {
  response.setHeader('cache-control', 'no-cache');
}
