import { SluiceError } from '../media/errors.ts';
import type { ConfigChanges } from './changes.ts';
import type { Config } from './schema.ts';

export interface ReloadOptions {
  readonly load: () => Promise<Config>;
  /** Makes a configuration hold. */
  readonly apply: (config: Config) => ConfigChanges;
  readonly log: {
    info(fields: Record<string, unknown>, message: string): void;
    warn(fields: Record<string, unknown>, message: string): void;
    error(fields: Record<string, unknown>, message: string): void;
  };
}

/** @returns what to do when the file has changed. What is wrong in it changes nothing. */
export function makeReload({ load, apply, log }: ReloadOptions): () => Promise<void> {
  let valid = true;
  return async () => {
    try {
      const { live, forNew, restart } = apply(await load());
      // Who repairs a file by undoing what was wrong changes nothing, and waits for a sign all the same.
      if (!valid) log.info({}, 'the configuration is valid again');
      valid = true;
      if (live.length > 0) log.info({ options: live.join(' ') }, 'configuration changed');
      if (forNew.length > 0) {
        log.info(
          { options: forNew.join(' ') },
          'configuration changed for streams and encoders that begin from now on',
        );
      }
      if (restart.length > 0) {
        log.warn({ options: restart.join(' ') }, 'these changes of the configuration need a restart');
      }
    } catch (error) {
      valid = false;
      const code = error instanceof SluiceError ? error.code : 'SLUICE_INTERNAL';
      const reason = error instanceof Error ? error.message : String(error);
      log.error({ code, reason }, 'the changed configuration is not valid; the old one stays');
    }
  };
}
