import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below those that Linux and macOS give out by themselves, to every connection that is made: between asking which port is
 * free and listening at it nobody gets one of these by chance.
 */
const [FIRST, END] = [20_000, 32_768];

const given = new Set<number>();

/** A port of this computer that is free now, and a different one each time. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, END);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}

/** Ports of this computer that are free now. */
export function freePorts(count: number): Promise<number[]> {
  return Promise.all(Array.from({ length: count }, freePort));
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
