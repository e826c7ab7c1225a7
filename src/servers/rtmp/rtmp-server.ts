import { createServer, type Server } from 'node:net';
import { SluiceError } from '../../media/errors.ts';
import { CrowdLog } from '../crowd-log.ts';
import { type ConnectionOptions, RtmpConnection } from './connection.ts';
import { sharedReads } from './shared-reads.ts';

const TICK_MS = 1000;

/** The RTMP listener and its connections. */
export class RtmpServer {
  readonly #options: ConnectionOptions;
  readonly #server: Server;
  /** Each with what resolves when its socket is closed. */
  readonly #connections = new Map<RtmpConnection, Promise<void>>();
  #ticking: NodeJS.Timeout | null = null;
  #refused = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const beginReads = sharedReads();
    const crowd = new CrowdLog<'info' | 'warn'>(options.clock, options.log);
    this.#server = createServer({ pauseOnConnect: true }, (accepted) => {
      const { maxConnections } = options.limits();
      if (this.#connections.size >= maxConnections && !this.#makeRoom()) {
        this.#refused++;
        const peer = accepted.remoteAddress ?? 'unknown';
        crowd.note({
          level: 'warn',
          kind: 'refused',
          peer,
          fields: { peer, code: 'SLUICE_RTMP_LIMIT' },
          message: `RTMP connection refused: ${maxConnections} are open already`,
        });
        accepted.destroy();
        return;
      }
      const socket = beginReads(accepted);
      const connection = new RtmpConnection(socket, options, crowd);
      const closed = new Promise<void>((resolve) => {
        socket.once('close', () => {
          this.#connections.delete(connection);
          resolve();
        });
      });
      this.#connections.set(connection, closed);
    });
  }

  /**
   * Those who open connections and say nothing must not keep encoders out until they time out: the oldest that has
   * not published goes.
   */
  #makeRoom(): boolean {
    for (const connection of this.#connections.keys()) {
      if (!connection.isStranger) continue;
      connection.giveWay();
      return true;
    }
    return false;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Connections that were one too many. */
  get refusedCount(): number {
    return this.#refused;
  }

  /** The port in use; null while not listening. */
  get port(): number | null {
    const address = this.#server.address();
    return address !== null && typeof address === 'object' ? address.port : null;
  }

  /** @throws SluiceError SLUICE_PORT_UNAVAILABLE */
  async listen(port: number, host: string | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) =>
        reject(
          new SluiceError('SLUICE_PORT_UNAVAILABLE', `cannot open RTMP port ${port}: ${error.message}`, {
            cause: error,
          }),
        ),
      );
      this.#server.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
    });
    this.#server.removeAllListeners('error');
    this.#server.on('error', (error) => this.#options.log.warn({ err: error }, 'RTMP listener error'));
    this.#ticking = setInterval(() => {
      for (const connection of this.#connections.keys()) connection.tick();
    }, TICK_MS);
    this.#ticking.unref();
  }

  /** Stops accepting; the connections stay. Idempotent. */
  stopListening(): void {
    if (this.#server.listening) this.#server.close();
  }

  /** Stops accepting and dismisses every publisher. Resolves when all sockets are closed. */
  async close(): Promise<void> {
    if (this.#ticking !== null) clearInterval(this.#ticking);
    this.#ticking = null;
    this.stopListening();
    // Not the server's own close event: it comes before the last sockets', and only once.
    const closed = [...this.#connections.values()];
    for (const connection of this.#connections.keys()) {
      connection.dismiss('SLUICE_SHUTTING_DOWN');
    }
    await Promise.all(closed);
  }
}
