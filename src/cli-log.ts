import { type Logger as PinoLogger, pino } from 'pino';

/** Fields that every pino line has and nobody at a terminal reads. */
const HIDDEN = new Set(['level', 'time', 'pid', 'hostname', 'msg', 'err']);
const CONTROL_CHARACTERS = /\p{Cc}/gu;
const LEVEL_NAMES: Readonly<Record<number, string>> = {
  30: '',
  40: 'warning: ',
  50: 'error: ',
  60: 'error: ',
};

/** JSON lines on stderr for machines, one plain line each when a person is looking. Stdout stays the start screen's. */
export function createCliLog(stderr: NodeJS.WriteStream): PinoLogger {
  if (!stderr.isTTY) return pino({ base: null }, stderr);
  return pino({ base: null }, { write: (line: string) => stderr.write(plain(line)) });
}

function plain(line: string): string {
  const entry: unknown = JSON.parse(line);
  if (typeof entry !== 'object' || entry === null) return line;
  const fields = new Map(Object.entries(entry));
  const time = new Date(Number(fields.get('time'))).toTimeString().slice(0, 8);
  const rest = [...fields].filter(([key]) => !HIDDEN.has(key)).map(([key, value]) => `${key}=${value}`);
  const text = `${LEVEL_NAMES[Number(fields.get('level'))] ?? ''}${fields.get('msg')}  ${rest.join(' ')}`;
  // Encoders choose some of this text; control characters would reach the terminal.
  return `${time} ${text.replace(CONTROL_CHARACTERS, '?')}\n`;
}
