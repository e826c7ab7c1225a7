import { type ApplicationSettings, type Config, settingsOf } from './schema.ts';

/** What holds for each application, its own settings put over those for all once and not per question. */
export class SettingsByApp {
  readonly #common: ApplicationSettings;
  readonly #own: ReadonlyMap<string, ApplicationSettings>;

  constructor(config: Config) {
    this.#common = settingsOf(config, null);
    this.#own = new Map(Object.keys(config.applications).map((app) => [app, settingsOf(config, app)]));
  }

  /** By application; those without settings of their own are `*`. */
  entries(): [app: string, ApplicationSettings][] {
    return [['*', this.#common], ...this.#own];
  }

  of(app: string): ApplicationSettings {
    return this.#own.get(app) ?? this.#common;
  }
}
