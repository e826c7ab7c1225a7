import { SluiceError } from '../media/errors.ts';
import { type AddressRules, mayComeFrom } from './address-rules.ts';
import {
  askCallback,
  type CallbackQuestion,
  type CallbackSettings,
  type CallbackVerdict,
} from './callback.ts';
import { CallbackQueue } from './callback-queue.ts';
import { isValidPlaybackToken, signPlayback } from './playback-token.ts';
import { nameOfKey, type StreamKey } from './stream-keys.ts';

/** What one application asks of those who publish and play. */
export interface AccessSettings {
  readonly publish: AddressRules & { readonly keys: readonly StreamKey[] };
  readonly play: AddressRules & { readonly secrets: readonly string[] };
  readonly callback: CallbackSettings;
}

export interface GatekeeperOptions {
  /** Read at every decision, so that changed settings hold at once. */
  readonly settings: (app: string) => AccessSettings;
  /** Unix time in seconds. */
  readonly now: () => number;
  /** The callback could not be asked; `allowed` is what the settings made of it. */
  readonly onCallbackFailure: (question: CallbackQuestion, reason: string, allowed: boolean) => void;
}

export interface PublishAttempt {
  readonly app: string;
  /** What the encoder calls its stream key, without parameters. */
  readonly key: string;
  readonly query: string;
  readonly address: string;
}

export interface PlayAttempt {
  readonly app: string;
  readonly name: string;
  /** Of the address, without `?`. */
  readonly query: string;
  readonly address: string;
}

/** How long a viewer may reload the media playlist after the callback has let it in. */
const GRANT_SECONDS = 12 * 3600;

/** Decides who may publish and who may play. */
export class Gatekeeper {
  /** How often somebody was refused. */
  readonly denied = { publish: 0, play: 0 };
  readonly #options: GatekeeperOptions;
  /** By action, so that a crowd of viewers keeps no publisher out. */
  readonly #asking = { publish: new CallbackQueue(), play: new CallbackQueue() };

  constructor(options: GatekeeperOptions) {
    this.#options = options;
  }

  /**
   * The public name under which this encoder may publish.
   *
   * @throws SluiceError SLUICE_PUBLISH_DENIED or SLUICE_CALLBACK_FAILED, also as a rejection
   */
  publish({ app, key, query, address }: PublishAttempt): string | Promise<string> {
    const { publish, callback } = this.#options.settings(app);
    if (!mayComeFrom(address, publish)) throw this.#publishDenied('this address may not publish');
    const name = publish.keys.length === 0 ? key : nameOfKey(publish.keys, key);
    if (name === null) throw this.#publishDenied('the stream key is not known');
    if (callback.url === undefined || !callback.actions.includes('publish')) return name;
    return this.#ask(
      { ...callback, url: callback.url },
      { action: 'publish', app, name, address, query },
    ).then((verdict) => {
      if (!verdict.allowed) throw this.#refusal('publish', verdict);
      return name;
    });
  }

  /** Whether the streams of this application can be played without a signed URL. */
  isOpen(app: string): boolean {
    return this.#options.settings(app).play.secrets.length === 0;
  }

  /**
   * Checks a request for the multivariant playlist.
   *
   * @returns the token that the addresses in it need; null when they need none
   * @throws SluiceError SLUICE_PLAY_DENIED or SLUICE_CALLBACK_FAILED, also as a rejection
   */
  enter(attempt: PlayAttempt): (string | null) | Promise<string | null> {
    const { app, name, query, address } = attempt;
    const { play, callback } = this.#options.settings(app);
    if (!mayComeFrom(address, play)) throw this.#playDenied('this address may not play');
    const [secret] = play.secrets;
    if (secret === undefined) return null;
    const token = this.#validToken(attempt, play.secrets);
    if (token !== null) return token;
    if (callback.url === undefined || !callback.actions.includes('play')) {
      throw this.#playDenied('the address is not signed, or has expired');
    }
    return this.#ask({ ...callback, url: callback.url }, { action: 'play', app, name, address, query }).then(
      (verdict) => {
        if (!verdict.allowed) throw this.#refusal('play', verdict);
        return signPlayback(secret, { app, name, expires: this.#options.now() + GRANT_SECONDS });
      },
    );
  }

  /**
   * Checks a request for a media playlist. Segments need no check: their names cannot be guessed, and are the same for
   * all viewers, which is what lets a CDN keep one copy.
   *
   * @throws SluiceError SLUICE_PLAY_DENIED
   */
  follow(attempt: PlayAttempt): void {
    const { play } = this.#options.settings(attempt.app);
    if (!mayComeFrom(attempt.address, play)) throw this.#playDenied('this address may not play');
    if (play.secrets.length > 0 && this.#validToken(attempt, play.secrets) === null) {
      throw this.#playDenied('the address is not signed, or has expired');
    }
  }

  #validToken(attempt: PlayAttempt, secrets: readonly string[]): string | null {
    const token = new URLSearchParams(attempt.query).get('token');
    if (token === null) return null;
    return isValidPlaybackToken(token, attempt, secrets, this.#options.now()) ? token : null;
  }

  async #ask(
    callback: CallbackSettings & { readonly url: string },
    question: CallbackQuestion,
  ): Promise<CallbackVerdict> {
    const answer = await this.#asking[question.action].ask(callback.timeout * 1000, (leftMs) =>
      askCallback(callback, question, leftMs),
    );
    const verdict = typeof answer === 'string' ? unasked(answer, callback) : answer;
    if (verdict.failed !== null) this.#options.onCallbackFailure(question, verdict.failed, verdict.allowed);
    return verdict;
  }

  /** Who was refused because nobody answered must not look for a fault in its key. Why is for the log only. */
  #refusal(action: 'publish' | 'play', { failed }: CallbackVerdict): SluiceError {
    if (failed === null) {
      return action === 'publish'
        ? this.#publishDenied('the callback refused')
        : this.#playDenied('the callback refused');
    }
    this.denied[action]++;
    return new SluiceError(
      'SLUICE_CALLBACK_FAILED',
      'the callback could not be reached, failed or did not answer in time',
    );
  }

  #publishDenied(reason: string): SluiceError {
    this.denied.publish++;
    return new SluiceError('SLUICE_PUBLISH_DENIED', reason);
  }

  #playDenied(reason: string): SluiceError {
    this.denied.play++;
    return new SluiceError('SLUICE_PLAY_DENIED', reason);
  }
}

function unasked(why: 'full' | 'late', { onError }: CallbackSettings): CallbackVerdict {
  const failed = why === 'full' ? 'too many requests wait for it' : 'others waited for it all the time';
  return { allowed: onError === 'allow', failed };
}
