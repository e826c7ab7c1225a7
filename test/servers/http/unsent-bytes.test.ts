import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { SegmentBody } from '../../../src/media/segment-body.ts';
import { gatewayPlugin } from '../../../src/servers/http/gateway-plugin.ts';
import { sendBody } from '../../../src/servers/http/send-body.ts';
import { pluginOptions } from '../../support/plugin-options.ts';
import { readExposition } from '../../support/prometheus-text.ts';

/** More than the kernel takes for somebody who does not read. */
const SIZE = 32 * 1024 * 1024;

/** For a busy machine. */
const SOON = { timeout: 10_000 };

const apps: FastifyInstance[] = [];
const viewers: Socket[] = [];
afterEach(async () => {
  for (const viewer of viewers.splice(0)) viewer.destroy();
  for (const app of apps.splice(0)) await app.close();
});

async function start() {
  const app = Fastify({ forceCloseConnections: true });
  apps.push(app);
  await app.register(gatewayPlugin(pluginOptions()));
  const body = Buffer.alloc(SIZE);
  app.get('/large', (request, reply) => sendBody(request, reply, SegmentBody.of(body), 0, SIZE));
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  return {
    /** Asks, and reads nothing until it is resumed. */
    view: async () => {
      const viewer = connect(port, '127.0.0.1');
      viewers.push(viewer);
      await once(viewer, 'connect');
      viewer.pause().write('GET /large HTTP/1.1\r\nHost: x\r\n\r\n');
      return viewer;
    },
    unsent: async () => {
      const response = await fetch(`http://127.0.0.1:${port}/metrics`);
      return readExposition(await response.text()).value('sluice_http_unsent_bytes') ?? Number.NaN;
    },
  };
}

describe('the unsent bytes in the metrics', () => {
  it('are those of viewers that do not read, until they do', async () => {
    const { view, unsent } = await start();
    expect(await unsent()).toBe(0);
    const [first, second] = [await view(), await view()];
    await expect.poll(unsent, SOON).toBeGreaterThanOrEqual(2 * SIZE);
    expect(await unsent()).toBeLessThan(2 * SIZE + 1000);
    first.resume();
    await expect.poll(unsent, SOON).toBeLessThan(SIZE + 1000);
    expect(await unsent()).toBeGreaterThanOrEqual(SIZE);
    second.resume();
    await expect.poll(unsent, SOON).toBe(0);
  });

  it('are gone when the viewer is', async () => {
    const { view, unsent } = await start();
    const viewer = await view();
    await expect.poll(unsent, SOON).toBeGreaterThanOrEqual(SIZE);
    viewer.destroy();
    await expect.poll(unsent, SOON).toBe(0);
  });
});
