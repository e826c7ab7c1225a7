import { createServer, type Server } from 'node:net';
import { SluiceError } from '../../media/errors.ts';
import { groupBy } from '../../media/group-by.ts';
import { networkOf } from '../../media/network-of.ts';
import { CrowdLog } from '../crowd-log.ts';
import { addressOf, type ConnectionOptions, RtmpConnection } from './connection.ts';
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
      const peer = addressOf(accepted);
      if (this.#connections.size >= maxConnections && !this.#makeRoom(peer, maxConnections)) {
        this.#refused++;
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
   * Those who open connections and say nothing must not keep encoders out until they time out: the oldest that has not
   * published goes, of the address that has most of those. Nor must one address that publishes in all of them: another that has
   * fewer gets one beyond the limit to begin with, and for each that has published there the newest of the first goes.
   */
  #makeRoom(address: string, maxConnections: number): boolean {
    const open = [...this.#connections.keys()].filter(({ isOpen }) => isOpen);
    const stranger = largestCrowd(open.filter(({ isStranger }) => isStranger))[0];
    if (stranger !== undefined) {
      stranger.giveWay('too many are open, and it has not published');
      return true;
    }
    const crowd = largestCrowd(open);
    const network = networkOf(address);
    const own = open.filter((connection) => networkOf(connection.address) === network).length;
    if (crowd.length <= own + 1) return false;
    if (open.length <= maxConnections) return this.#connections.size <= maxConnections;
    crowd.at(-1)?.giveWay(`${maxConnections} are open already, and most are of this address`);
    return true;
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

/** Connections of the address that has most, the oldest first. */
function largestCrowd(connections: readonly RtmpConnection[]): readonly RtmpConnection[] {
  const crowds = groupBy(connections, ({ address }) => networkOf(address)).values();
  return [...crowds].reduce((a, b) => (b.length > a.length ? b : a), []);
}
