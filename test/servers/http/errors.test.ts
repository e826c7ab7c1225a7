import Fastify, { type FastifyError } from 'fastify';
import { expect, it } from 'vitest';
import { SluiceError } from '../../../src/media/errors.ts';
import { sendError } from '../../../src/servers/http/errors.ts';

/** What is answered to a request in which this is thrown, and what was told of it. */
async function answerTo(error: Error) {
  const told: unknown[] = [];
  const note =
    (kind: string) =>
    (...what: unknown[]) =>
      told.push([kind, ...what.slice(1)]);
  const app = Fastify();
  app.setErrorHandler((thrown: FastifyError, request, reply) =>
    sendError(thrown, reply, request.ip, {
      missing: note('missing'),
      refused: note('refused'),
      denied: note('denied'),
      unread: note('unread'),
      silent: note('silent'),
      crowded: note('crowded'),
      fault: note('fault'),
    }),
  );
  app.get('/', () => {
    throw error;
  });
  const { statusCode: status, headers, json } = await app.inject('/');
  const body: unknown = json();
  await app.close();
  return { status, cache: headers['cache-control'], body, told };
}

it.each([
  ['SLUICE_PLAY_DENIED', 'get a new link'],
  ['SLUICE_CALLBACK_FAILED', 'It is not the stream key or the link'],
] as const)('%s is a refusal that says why', async (code, advice) => {
  expect(await answerTo(new SluiceError(code, 'this is why'))).toEqual({
    status: 403,
    cache: 'no-store',
    body: { code, message: expect.stringMatching(`^this is why. .*${advice}`) },
    told: [['denied', code]],
  });
});

// Its stream has told the operator.
it.each(['SLUICE_STORE_BUSY', 'SLUICE_STORE_FAILED'] as const)('%s is to be tried again', async (code) => {
  expect(await answerTo(new SluiceError(code, '/secret/path'))).toEqual({
    status: 503,
    cache: 'no-store',
    body: { code, message: 'The segment cannot be read now. Try again.' },
    told: [],
  });
});

it('what nobody expected is told to the operator and not to the client', async () => {
  expect(await answerTo(new Error('/secret/path'))).toEqual({
    status: 500,
    cache: 'no-store',
    body: { code: 'SLUICE_INTERNAL', message: 'Something went wrong here. The log says more.' },
    told: [['fault']],
  });
});
