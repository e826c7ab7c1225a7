import Fastify, { type FastifyError } from 'fastify';
import { expect, it } from 'vitest';
import { SluiceError } from '../../../src/media/errors.ts';
import { sendError } from '../../../src/servers/http/errors.ts';

it.each([
  ['SLUICE_PLAY_DENIED', 'get a new link'],
  ['SLUICE_CALLBACK_FAILED', 'It is not the stream key or the link'],
] as const)('%s is a refusal that says why', async (code, advice) => {
  const denied: unknown[] = [];
  const app = Fastify();
  app.setErrorHandler((error: FastifyError, request, reply) =>
    sendError(error, reply, request.ip, {
      missing: () => {},
      refused: () => {},
      denied: (_peer, reason) => denied.push(reason),
      unread: () => {},
      silent: () => {},
      crowded: () => {},
      fault: () => {},
    }),
  );
  app.get('/', () => {
    throw new SluiceError(code, 'this is why');
  });
  const answer = await app.inject('/');
  expect([answer.statusCode, answer.headers['cache-control']]).toEqual([403, 'no-store']);
  expect(answer.json()).toEqual({ code, message: expect.stringMatching(`^this is why. .*${advice}`) });
  expect(denied).toEqual([code]);
  await app.close();
});
