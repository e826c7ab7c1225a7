/** What ffmpeg says after the line that matters. */
const EPILOGUE = [
  /^Conversion failed!?$/,
  /^Exiting normally/,
  /^Error (?:opening|closing|muxing|submitting|while (?:opening|filtering|processing)) (?:output|input|a packet|the )/i,
  /^Task finished with error/i,
  /^Terminating thread/i,
  /^Received .* exiting/i,
  /^Last message repeated/i,
  /^frame=/,
];
const MAX_LENGTH = 300;

/** The line of stderr that most likely tells what is wrong, without the names and addresses before it; null for none. */
export function lastWords(stderr: string): string | null {
  const lines = stderr
    .split(/[\r\n]+/)
    .map(plain)
    .filter((line) => line !== '');
  const telling = lines.findLast((line) => !EPILOGUE.some((pattern) => pattern.test(line)));
  return (telling ?? lines.at(-1))?.slice(0, MAX_LENGTH) ?? null;
}

/** `[libx264 @ 0x5581] [error] no` says `no`. Nothing that a terminal would act on is left in it. */
function plain(line: string): string {
  return line
    .replace(/^(?:\[[^\]]*\]\s*)+/, '')
    .replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?')
    .trim();
}
