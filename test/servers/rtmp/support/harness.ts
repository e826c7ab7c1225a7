import { EventEmitter } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { vi } from 'vitest';
import type { PublishAttempt } from '../../../../src/access/gatekeeper.ts';
import { StreamRegistry, type TakeoverPolicy } from '../../../../src/live/stream-registry.ts';
import type { Packet } from '../../../../src/media/packet.ts';
import { PublishSession } from '../../../../src/rtmp/publish-session.ts';
import type { ConnectionLog } from '../../../../src/servers/rtmp/connection.ts';
import { RtmpServer } from '../../../../src/servers/rtmp/rtmp-server.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

export interface LogLine {
  readonly level: 'info' | 'warn';
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

/** Resolves when `condition` holds; it is asked again whenever something happened. */
class Changes extends EventEmitter {
  notify(): void {
    this.emit('change');
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!condition()) return;
        this.off('change', check);
        resolve();
      };
      this.on('change', check);
      check();
    });
  }
}

export interface HarnessOptions {
  readonly takeover?: TakeoverPolicy;
  readonly maxConnections?: number;
  readonly httpPort?: number | null;
}

export const HANDSHAKE_TIMEOUT_MS = 5000;
export const IDLE_TIMEOUT_MS = 15_000;
export const FAREWELL_MS = 500;

/** A listening server whose time, log and streams belong to the test. */
export class Harness {
  readonly clock = new FakeClock();
  readonly log: LogLine[] = [];
  readonly states: string[] = [];
  /** Packets by stream name. */
  readonly packets = new Map<string, number>();
  readonly registry: StreamRegistry;
  /** What the test says about who may publish; everybody as the key that was given, until it is replaced. */
  authorize: (attempt: PublishAttempt) => string | Promise<string> = ({ key }) => key;
  readonly server: RtmpServer;
  /** A second server, not listening, with the same options. */
  readonly another: () => RtmpServer;
  readonly #changes = new Changes();
  readonly #sockets: Socket[] = [];

  private constructor({ takeover = 'newest', maxConnections = 10, httpPort = 8080 }: HarnessOptions) {
    this.#changes.setMaxListeners(0);
    this.registry = new StreamRegistry({
      clock: this.clock,
      graceMs: () => 0,
      takeover: () => takeover,
      maxStreams: () => 100,
      onState: (stream, state) => {
        if (state === 'live' && !this.packets.has(stream.name)) {
          this.packets.set(stream.name, 0);
          stream.addSink({
            epoch: () => {},
            packet: (_packet: Packet) => {
              this.packets.set(stream.name, (this.packets.get(stream.name) ?? 0) + 1);
              this.#changes.notify();
            },
            end: () => {},
            close: () => {},
          });
        }
        this.states.push(`${stream.app}/${stream.name} ${state}`);
        if (state === 'closed') this.registry.remove(stream);
        this.#changes.notify();
      },
      onEpoch: () => {},
      onSinkFault: (_stream, error) => {
        throw error;
      },
    });
    const log: ConnectionLog = {
      info: (fields, message) => this.#write('info', fields, message),
      warn: (fields, message) => this.#write('warn', fields, message),
    };
    this.another = () =>
      new RtmpServer({
        registry: this.registry,
        clock: this.clock,
        log,
        authorize: (attempt) => this.authorize(attempt),
        limits: () => ({
          handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
          idleTimeoutMs: IDLE_TIMEOUT_MS,
          maxConnections,
        }),
        httpPort: () => httpPort,
      });
    this.server = this.another();
  }

  static async start(options: HarnessOptions = {}): Promise<Harness> {
    // Only the server's own ticking: sockets keep real time.
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const harness = new Harness(options);
    await harness.server.listen(0, '127.0.0.1');
    return harness;
  }

  get port(): number {
    return this.server.port ?? 0;
  }

  /** Moves the clock and lets the server look at it. */
  pass(ms: number): void {
    this.clock.advance(ms);
    vi.advanceTimersByTime(1000);
  }

  until(condition: () => boolean): Promise<void> {
    return this.#changes.until(condition);
  }

  /** For what nobody announces: asks again at every turn of the event loop. */
  async eventually(condition: () => boolean): Promise<void> {
    while (!condition()) await nextTurn();
  }

  codes(): unknown[] {
    return this.log.map(({ fields }) => fields.code);
  }

  async client(localAddress = '127.0.0.1'): Promise<Client> {
    const socket = connect({ host: '127.0.0.1', port: this.port, localAddress });
    this.#sockets.push(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new Client(socket);
  }

  /** A publisher that has been accepted. */
  async publisher(key: string, app = 'live', localAddress = '127.0.0.1'): Promise<Publisher> {
    const publisher = new Publisher(await this.client(localAddress), app, key);
    await publisher.ready;
    return publisher;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = this.server.close();
    this.clock.advance(FAREWELL_MS);
    await closed;
    vi.useRealTimers();
  }

  #write(level: LogLine['level'], fields: Record<string, unknown>, message: string): void {
    this.log.push({ level, fields, message });
    this.#changes.notify();
  }
}

/** The other end of a socket. */
export class Client {
  readonly socket: Socket;
  /** Resolves when both directions are closed, with whether it was by an error such as a reset. */
  readonly closed: Promise<boolean>;
  readonly #changes = new Changes();
  #received = Buffer.alloc(0);
  #isClosed = false;
  #pings = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once('close', (hadError) => {
        this.#isClosed = true;
        this.#changes.notify();
        resolve(hadError);
      });
    });
    // Whoever awaits `closed` is told; a reset is no reason to end the test run.
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#changes.notify();
    });
  }

  get received(): Buffer {
    return this.#received;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Resolves when that many bytes have come. @throws Error when the connection closes before */
  async receive(count: number): Promise<Buffer> {
    await this.#changes.until(() => this.#received.length >= count || this.#isClosed);
    if (this.#received.length < count)
      throw new Error(`closed after ${this.#received.length} of ${count} bytes`);
    return this.#received;
  }

  /** Handshake with a C1 of zeros; resolves when the server has answered it and knows that it is over. */
  async handshake(): Promise<void> {
    this.socket.write(Buffer.concat([Buffer.of(3), Buffer.alloc(1536)]));
    await this.receive(3073);
    this.socket.write(Buffer.alloc(1536));
    await this.sync();
    this.#received = Buffer.alloc(0);
  }

  /** Resolves when the server has read everything so far: when it has answered a ping. */
  async sync(): Promise<void> {
    const number = (++this.#pings).toString(16).padStart(8, '0');
    const pong = Buffer.from(`0007${number}`, 'hex');
    this.socket.write(Buffer.from(`0200000000000604000000000006${number}`, 'hex'));
    await this.#changes.until(() => this.#received.includes(pong) || this.#isClosed);
    if (this.#isClosed) throw new Error('closed');
  }
}

/** A publisher over a client socket, with everything the server tells it. */
export class Publisher {
  readonly client: Client;
  readonly session: PublishSession;
  readonly ready: Promise<void>;
  /** Resolves with the code of the refusal or dismissal. */
  readonly refused: Promise<string>;

  constructor(client: Client, app: string, key: string) {
    this.client = client;
    let accept = () => {};
    let refuse = (_code: string) => {};
    this.refused = new Promise((resolve) => {
      refuse = resolve;
    });
    this.ready = new Promise((resolve, reject) => {
      accept = resolve;
      void this.refused.then((code) => reject(new Error(code)));
      void client.closed.then(() => reject(new Error('closed')));
    });
    this.ready.catch(() => {});
    this.session = new PublishSession(
      { app, key, tcUrl: `rtmp://127.0.0.1/${app}` },
      {
        write: (bytes) => {
          client.socket.write(bytes);
        },
        ready: () => accept(),
        refused: (code) => refuse(code),
      },
    );
    client.socket.on('data', (bytes) => this.session.push(bytes));
    this.session.start();
  }

  /** AAC: a sequence header and `frames` frames of 1024 samples at 48 kHz, from `from` on. */
  audio(frames: number, from = 0): void {
    if (from === 0) this.session.sendMedia(8, 0, Buffer.from('af001190', 'hex'));
    for (let n = 0; n < frames; n++) {
      this.session.sendMedia(8, from + Math.round((n * 64) / 3), Buffer.from('af01211004608c1c', 'hex'));
    }
  }
}
