import type { Socket } from 'node:net';
import type { PublishAttempt } from '../../access/gatekeeper.ts';
import { createFlvIngest, type FlvIngest } from '../../live/flv-ingest.ts';
import type { PublisherClaims } from '../../live/stream.ts';
import { parseStreamPath } from '../../live/stream-name.ts';
import type { StreamRegistry } from '../../live/stream-registry.ts';
import type { Clock } from '../../media/clock.ts';
import { type ErrorCode, SluiceError } from '../../media/errors.ts';
import { announcedMedia } from '../../rtmp/commands.ts';
import { type PublishRequest, ServerSession } from '../../rtmp/server-session.ts';
import type { CrowdLog } from '../crowd-log.ts';
import { answerHttp, looksLikeHttp } from './http-answer.ts';

/** A peer that does not read our few answers is not worth more memory than this. */
const MAX_UNSENT_BYTES = 64 * 1024;
/** How long a refused peer gets to read why, before the socket is closed under it. */
const FAREWELL_MS = 500;
/** Guessing stream keys gets slow, and so does asking a callback that does not answer. */
const REFUSAL_DELAY_MS = 1000;
const DELAYED: readonly ErrorCode[] = ['SLUICE_PUBLISH_DENIED', 'SLUICE_CALLBACK_FAILED'];
/** Messages may quote what the peer sent. */
const MAX_LOGGED = 300;
const PING_INTERVAL_MS = 10_000;

export interface RtmpServerLimits {
  readonly maxConnections: number;
  /** From the TCP connection to the end of the handshake. */
  readonly handshakeTimeoutMs: number;
  /** From the handshake to the first media, and the longest silence of a publisher after that. */
  readonly idleTimeoutMs: number;
}

export interface ConnectionOptions {
  readonly registry: StreamRegistry;
  /**
   * The public name that the encoder may publish.
   *
   * @throws SluiceError SLUICE_PUBLISH_DENIED or SLUICE_CALLBACK_FAILED, also as a rejection
   */
  readonly authorize: (attempt: PublishAttempt) => string | Promise<string>;
  readonly clock: Clock;
  readonly log: ConnectionLog;
  /** Read whenever they matter, so that they can change. */
  readonly limits: () => RtmpServerLimits;
  /** Port of the player page, for browsers that end up here; null where there is none. */
  readonly httpPort: () => number | null;
}

/** One line each; `fields` never contain a key. */
export interface ConnectionLog {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
}

/** One TCP connection: moves bytes between the socket and its session and decides when it has to end. */
export class RtmpConnection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #crowd: CrowdLog<'info' | 'warn'>;
  readonly #session: ServerSession;
  readonly #address: string;
  readonly #openedAt: number;
  /** One of each publication. */
  readonly #ingests = new Set<FlvIngest>();
  #handshakeDoneAt: number | null = null;
  #lastMedia: { count: number; at: number };
  #lastPing: number;
  #firstBytes = true;
  #ended = false;
  #leaving = false;
  #stream: string | null = null;
  #saidGoodbye = false;
  #toldLost = false;

  /** @param crowd gets the lines of connections that have not published: there may be thousands */
  constructor(socket: Socket, options: ConnectionOptions, crowd: CrowdLog<'info' | 'warn'>) {
    this.#socket = socket;
    this.#options = options;
    this.#crowd = crowd;
    // On a dual-stack socket IPv4 peers come as ::ffff:192.0.2.1.
    this.#address = addressOf(socket);
    this.#openedAt = options.clock.now();
    this.#lastMedia = { count: 0, at: this.#openedAt };
    this.#lastPing = this.#openedAt;
    this.#session = new ServerSession({
      write: (bytes) => this.#write(bytes),
      congested: () => this.#socket.writableLength > 0,
      publish: (request) => this.#publish(request),
      close: () => this.#farewell(),
    });
    socket.setNoDelay(true);
    socket.on('data', (bytes) => this.#receive(bytes));
    // A publisher that half-closes has nothing more to say.
    socket.on('end', () => this.#hungUp());
    socket.on('close', () => this.#hungUp());
    // A reset is how encoders usually leave; the close event follows.
    socket.on('error', (error) => this.#lost(error.message));
  }

  /** To be called about once a second: everything that depends on time happens here. */
  tick(): void {
    const now = this.#options.clock.now();
    if (this.#ended) return;
    const { handshakeTimeoutMs, idleTimeoutMs } = this.#options.limits();
    if (this.#handshakeDoneAt === null) {
      if (now - this.#openedAt > handshakeTimeoutMs) {
        this.#fail(new SluiceError('SLUICE_RTMP_HANDSHAKE_TIMEOUT', 'no RTMP handshake in time'));
      }
      return;
    }
    try {
      for (const ingest of this.#ingests) ingest.flush();
    } catch (error) {
      this.#fail(error);
      return;
    }
    const count = this.#session.mediaMessages;
    if (count !== this.#lastMedia.count) this.#lastMedia = { count, at: now };
    const quietSince = Math.max(this.#lastMedia.at, this.#handshakeDoneAt);
    if (now - quietSince > idleTimeoutMs) {
      this.#fail(
        new SluiceError('SLUICE_RTMP_IDLE_TIMEOUT', `no media for ${Math.round(idleTimeoutMs / 1000)} s`),
      );
    } else if (now - this.#lastPing > PING_INTERVAL_MS) {
      this.#lastPing = now;
      this.#session.ping(Math.floor(now - this.#openedAt));
    }
  }

  get isOpen(): boolean {
    return !this.#ended;
  }

  /** Has not published yet: the first to go where there are too many. */
  get isStranger(): boolean {
    return this.#stream === null;
  }

  /** The peer's. */
  get address(): string {
    return this.#address;
  }

  /** Closes the connection for a newer one. */
  giveWay(reason: string): void {
    this.#fail(new SluiceError('SLUICE_RTMP_LIMIT', reason));
  }

  /** Ends the connection with a reason that the encoder can show. */
  dismiss(reason: ErrorCode): void {
    if (!this.#ended) this.#tell('info', 'RTMP connection dismissed', { code: reason });
    this.#session.dismiss(reason);
    this.#farewell();
  }

  #receive(bytes: Buffer): void {
    if (this.#ended) return;
    if (this.#firstBytes) {
      this.#firstBytes = false;
      if (looksLikeHttp(bytes)) {
        this.#tell('info', 'HTTP request on the RTMP port', { code: 'SLUICE_RTMP_NOT_RTMP' });
        this.#ended = true;
        this.#socket.end(answerHttp(bytes, this.#options.httpPort()));
        this.#socket.destroySoon();
        return;
      }
    }
    try {
      this.#session.push(bytes);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#handshakeDoneAt === null && this.#session.handshakeDone) {
      this.#handshakeDoneAt = this.#options.clock.now();
    }
  }

  #write(bytes: Buffer): void {
    if (this.#socket.destroyed || !this.#socket.writable) return;
    this.#socket.write(bytes);
    if (this.#socket.writableLength > MAX_UNSENT_BYTES) {
      this.#fail(new SluiceError('SLUICE_RTMP_LIMIT', 'the peer does not read our answers'));
    }
  }

  #publish(request: PublishRequest): void {
    try {
      const { app, name: key, query } = parseStreamPath(request.app, request.key);
      const name = this.#options.authorize({ app, key, query, address: this.#address });
      const accept = (allowed: string) =>
        this.#accept(request, app, allowed, claimsOf(request, query, key, allowed));
      if (typeof name === 'string') {
        accept(name);
        return;
      }
      name
        .then((allowed) => {
          // The encoder may have left meanwhile.
          if (!this.#ended) accept(allowed);
        })
        .catch((error: unknown) => this.#refuse(request, error));
    } catch (error) {
      this.#refuse(request, error);
    }
  }

  #accept(request: PublishRequest, app: string, name: string, claims: PublisherClaims): void {
    const { registry } = this.#options;
    const publication = registry.publish(app, name, {
      address: this.#address,
      encoder: request.encoder,
      claims,
      dismiss: (reason) => this.dismiss(reason),
    });
    this.#stream = `${app}/${name}`;
    this.#saidGoodbye = false;
    let damaged = 0;
    const ingest = createFlvIngest(publication, (error) => {
      // One line is enough to know; the count is in the API.
      if (damaged++ === 0) this.#tell('warn', error.message, { code: error.code });
    });
    this.#ingests.add(ingest);
    request.accept({
      audio: (timestamp, body) => ingest.audio(timestamp, body),
      video: (timestamp, body) => ingest.video(timestamp, body),
      data: (data) => {
        const media = announcedMedia(data);
        if (media !== null) ingest.announce(media);
      },
      damaged: (error) => ingest.damaged(error),
      end: () => {
        this.#saidGoodbye = true;
        this.#ingests.delete(ingest);
        ingest.end();
      },
    });
  }

  /** Without the stream key: it may be nearly right. */
  #refuse(request: PublishRequest, error: unknown): void {
    if (!(error instanceof SluiceError)) {
      this.#fail(error);
      return;
    }
    this.#tell('warn', `publish refused: ${error.message}`, { code: error.code }, refusalKind(error));
    const delay = DELAYED.includes(error.code) ? REFUSAL_DELAY_MS : 0;
    if (delay === 0) request.reject(error);
    else this.#options.clock.after(delay, () => request.reject(error));
  }

  /** The one place where a connection ends because of an error. */
  #fail(error: unknown): void {
    if (this.#ended) return;
    const known = error instanceof SluiceError;
    const code = known ? error.code : 'SLUICE_INTERNAL';
    const message = (error instanceof Error ? error.message : String(error)).slice(0, MAX_LOGGED);
    this.#tell('warn', `RTMP connection closed: ${message}`, { code, ...(known ? {} : { err: error }) });
    this.#finish();
    this.#socket.destroy();
  }

  /** The peer has closed. Encoders say goodbye before; those that crash, are killed or half-close do not. */
  #hungUp(): void {
    if (!this.#ended && this.#stream !== null) this.#lost('closed without a goodbye');
    this.#finish();
  }

  #lost(reason: string): void {
    // Who said goodbye does not read our answer to it.
    if (this.#saidGoodbye || this.#toldLost) return;
    this.#toldLost = true;
    this.#tell('info', 'RTMP connection lost', { reason });
  }

  #finish(): void {
    this.#ended = true;
    this.#session.end();
    if (this.#socket.destroyed) return;
    this.#socket.end();
    this.#farewell();
  }

  /**
   * Some encoders only show a status message when they have time to read it before the close. A peer that does not
   * read at all gets no longer.
   */
  #farewell(): void {
    this.#ended = true;
    if (this.#leaving) return;
    this.#leaving = true;
    this.#options.clock.after(FAREWELL_MS, () => this.#socket.destroy());
  }

  /** @param kind what is counted together in a crowd; by code, because messages may quote what the peer sent */
  #tell(
    level: 'info' | 'warn',
    message: string,
    fields: Record<string, unknown>,
    kind = typeof fields.code === 'string' ? fields.code : 'lost',
  ): void {
    const peer = this.#address;
    if (this.#stream !== null) {
      this.#options.log[level]({ peer, stream: this.#stream, ...fields }, message);
      return;
    }
    this.#crowd.note({ level, kind: `rtmp ${kind}`, peer, fields: { peer, ...fields }, message });
  }
}

/** The peer's, IPv4 as such. */
export function addressOf({ remoteAddress }: Socket): string {
  return remoteAddress?.replace(/^::ffff:/, '') ?? 'unknown';
}

/** Some encoders put the whole path into their addresses, and the key with it: others see the name in its place. */
function claimsOf(
  { tcUrl, swfUrl, pageUrl }: PublishRequest,
  query: string,
  key: string,
  name: string,
): PublisherClaims {
  const shown = (text: string | null) => text?.replaceAll(key, name) ?? null;
  return {
    query: shown(query) ?? '',
    tcUrl: shown(tcUrl),
    swfUrl: shown(swfUrl),
    pageUrl: shown(pageUrl),
  };
}

/** A wrong key must not hide behind a refused address; the gatekeeper's reasons are few and quote nobody. */
function refusalKind({ code, message }: SluiceError): string {
  return code === 'SLUICE_PUBLISH_DENIED' ? `${code} ${message}` : code;
}
