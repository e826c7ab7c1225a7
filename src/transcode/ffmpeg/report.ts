import type { FfmpegFinder } from './finder.ts';

export interface ReportOptions {
  /** A path is configured. */
  readonly configured: boolean;
  /** Something is configured that does not work without. */
  readonly needed: boolean;
  readonly log: {
    info(fields: Record<string, unknown>, message: string): void;
    warn(fields: Record<string, unknown>, message: string): void;
  };
}

/** Looks for ffmpeg and writes into the log what it is, or what does not work without. */
export async function reportFfmpeg(
  finder: FfmpegFinder,
  { configured, needed, log }: ReportOptions,
): Promise<void> {
  try {
    const { path, origin, version } = await finder.find();
    log.info({ path, origin, version: version.text }, 'ffmpeg found');
    const [passedOver] = finder.passedOver;
    if (!configured || origin === 'configured') return;
    log.warn({ reason: passedOver }, 'transcode.ffmpeg does not work, so another ffmpeg is used');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log[configured || needed ? 'warn' : 'info'](
      { code: 'SLUICE_FFMPEG_MISSING', reason },
      'no ffmpeg: no renditions, conversion or pictures of streams; everything else works',
    );
  }
}
