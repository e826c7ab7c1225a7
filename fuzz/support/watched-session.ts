import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { SluiceError } from '../../src/media/errors.ts';
import { type PublishReceiver, type PublishRequest, ServerSession } from '../../src/rtmp/server-session.ts';
import { feed } from './pieces.ts';
import { check, failure } from './tolerate.ts';

/** How an application answers publish requests. */
type Policy = 'accept' | 'reject' | 'later';

const POLICIES: readonly Policy[] = ['accept', 'accept', 'later', 'reject'];
const ALLOWED = /^SLUICE_(RTMP|AMF)_/;
const HANDSHAKE = Buffer.concat([Buffer.of(3), Buffer.alloc(3072)]);
/** 16 MiB of unfinished messages, 1 MiB of held ones in each of 8 streams, and as much again for the heap's own needs. */
const MAX_HELD_BYTES = 48 * 1024 * 1024;
/** The answer to connect is about a kilobyte, and connect may be a dozen bytes. */
const LONGEST_ANSWERS = 100;

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/**
 * Sends bytes through a session behind its handshake, and checks the rules between it and its owner: nothing but
 * SluiceError, nothing after the close, one end for each publication, answers in proportion.
 *
 * @param how picks the application's answers
 * @param whileOpen called when everything is in the session and before it ends
 */
export function runSession(how: number, input: readonly Buffer[], whileOpen = () => {}): void {
  const size = input.reduce((sum, piece) => sum + piece.length, 0);
  const owner = new Owner(POLICIES[how % POLICIES.length] ?? 'accept');
  const session = new ServerSession({
    congested: () => how >= 128,
    write: (bytes) => owner.write(bytes),
    publish: (request) => owner.publish(request),
    close: () => owner.close(),
  });
  session.push(HANDSHAKE);
  owner.written = 0;
  const code = failure(() =>
    feed(input, (piece) => {
      session.push(piece);
      owner.decideLater();
    }),
  );
  check(code === null || ALLOWED.test(code), `${code} from a session`);
  whileOpen();
  session.end();
  owner.over = true;
  for (const piece of input) session.push(piece);
  session.ping(1);
  session.dismiss('SLUICE_SHUTTING_DOWN');
  owner.decide();
  session.end();
  check(owner.ends === owner.accepted, `${owner.accepted} publications, ${owner.ends} ends`);
  check(owner.closes <= 1, 'closed more than once');
  check(!session.publishing, 'publishing after the end');
  check(owner.written <= 4096 + LONGEST_ANSWERS * size, `${owner.written} bytes of answers to ${size}`);
}

/** Checks what a session holds while it waits for more. Collecting garbage takes too long to do it for each input. */
export function checkHeldBytes(how: number, input: readonly Buffer[]): void {
  const before = heldBytes();
  runSession(how, input, () => {
    const held = heldBytes() - before;
    check(held < MAX_HELD_BYTES, `${held} bytes held`);
  });
}

function heldBytes(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

class Owner {
  over = false;
  written = 0;
  accepted = 0;
  ends = 0;
  closes = 0;
  readonly #policy: Policy;
  readonly #waiting: PublishRequest[] = [];

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  write(bytes: Buffer): void {
    this.#mustNotBeOver('write');
    this.written += bytes.length;
  }

  publish(request: PublishRequest): void {
    this.#mustNotBeOver('publish');
    if (this.#policy === 'accept') this.#accept(request);
    else if (this.#policy === 'reject') request.reject(new SluiceError('SLUICE_RTMP_BAD_NAME', 'no'));
    else this.#waiting.push(request);
  }

  close(): void {
    this.#mustNotBeOver('close');
    this.closes++;
    this.over = true;
  }

  /** Answers when several wait, so that media comes before and behind the answer. */
  decideLater(): void {
    if (this.#waiting.length > 2) this.decide();
  }

  decide(): void {
    for (const request of this.#waiting.splice(0)) {
      const code = failure(() => this.#accept(request));
      check(code === null || ALLOWED.test(code), `${code} from accepting`);
    }
  }

  #accept(request: PublishRequest): void {
    this.accepted++;
    let ended = false;
    const media = (kind: string) => {
      this.#mustNotBeOver(kind);
      check(!ended, `${kind} after the end of its publication`);
    };
    const receiver: PublishReceiver = {
      audio: () => media('audio'),
      video: () => media('video'),
      data: () => media('data'),
      damaged: () => media('damaged'),
      end: () => {
        check(!ended, 'a second end');
        ended = true;
        this.ends++;
      },
    };
    request.accept(receiver);
  }

  #mustNotBeOver(what: string): void {
    check(!this.over, `${what} after the close`);
  }
}
