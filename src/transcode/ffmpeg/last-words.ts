/** What ffmpeg says after the line that matters. */
const EPILOGUE = [
  /^Conversion failed!?$/,
  /^Exiting normally/,
  /^Error (?:closing|initializing output|muxing|opening output|parsing|splitting|submitting|while filtering|while opening)/,
  /^Device creation failed/,
  /^Failed to set value/,
  /^Task finished with error/,
  /^Terminating thread/,
  /^Received .* exiting/,
  /^Nothing was written into output file/,
  /^Last message repeated/,
  /^frame=/,
];
/** What it says although all is well: it is told not to look around in the stream before it begins. */
const HARMLESS = [
  /^Stream #0: not enough frames to estimate rate/,
  /^Could not find codec parameters for stream 0/,
  /^Consider increasing the value for the 'analyzeduration'/,
  /^No information about the input framerate/,
];
const MAX_LENGTH = 300;

/** The line of stderr that most likely tells what is wrong, without the names and addresses before it; null for none. */
export function lastWords(stderr: string): string | null {
  const lines = stderr
    .split(/[\r\n]+/)
    .map(plain)
    .filter((line) => line !== '' && !matches(line, HARMLESS));
  const telling = lines.findLast((line) => !matches(line, EPILOGUE)) ?? lines.at(-1);
  return telling?.slice(0, MAX_LENGTH) ?? null;
}

function matches(line: string, patterns: readonly RegExp[]): boolean {
  return patterns.some((pattern) => pattern.test(line));
}

/** `[libx264 @ 0x5581] [error] no` says `no`. Nothing that a terminal would act on is left in it. */
function plain(line: string): string {
  return line
    .replace(/^(?:\[[^\]]*\]\s*)+/, '')
    .replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?')
    .trim();
}
