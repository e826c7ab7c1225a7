import { FlvTagReader } from '../../src/formats/flv/tag-reader.ts';
import { type FlvTag, readFlvFile } from '../../src/formats/flv/tags.ts';
import { pieces } from '../support/pieces.ts';
import { check, failure } from '../support/tolerate.ts';

/** How the file is cut u8, then the file. */
export const maxLength = 2048;

/** A file in pieces gives the tags of the same file in one piece, and the same error. */
export function fuzz(data: Buffer): void {
  const file = data.subarray(1);
  const [whole, error] = read([file]);
  const [cut, cutError] = read(pieces(file, data[0] ?? 0));
  check(error === null || error === 'SLUICE_FLV_MALFORMED', `${error} from the reader`);
  check(cutError === error, `${cutError} in pieces and ${error} in one`);
  check(sameTags(whole, cut), 'other tags in pieces than in one');
  // A file that was cut off is a stream that goes on, so only what is there can be compared.
  const expected: FlvTag[] = [];
  failure(() => {
    for (const tag of readFlvFile(file)) expected.push(tag);
  });
  if (error === null) check(sameTags(whole, expected), 'other tags than readFlvFile');
}

function read(chunks: readonly Buffer[]): [tags: FlvTag[], error: string | null] {
  const reader = new FlvTagReader();
  const tags: FlvTag[] = [];
  const error = failure(() => {
    for (const chunk of chunks) {
      const memory = Buffer.from(chunk);
      tags.push(...reader.push(memory));
      // What was given out must not change with the chunk it came in.
      memory.fill(0x55);
    }
    // An error behind whole tags in the same chunk is for the next call.
    reader.push(Buffer.alloc(0));
  });
  return [tags, error];
}

function sameTags(a: readonly FlvTag[], b: readonly FlvTag[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ type, timestamp, body }, index) => {
      const other = b[index];
      return other?.type === type && other.timestamp === timestamp && body.equals(other.body);
    })
  );
}
