import { readFlvFile, readTags } from '../../src/formats/flv/tags.ts';
import { check, failure } from '../support/tolerate.ts';

/** A run of FLV tags, as in an aggregate message, or a whole file. */
export const maxLength = 2048;

export function fuzz(data: Buffer): void {
  for (const read of [readTags, readFlvFile]) {
    let end = 0;
    const code = failure(() => {
      for (const { type, timestamp, body } of read(data)) {
        check(type < 32, `tag type ${type}`);
        check(timestamp >>> 0 === timestamp, `timestamp ${timestamp}`);
        const start = body.byteOffset - data.byteOffset;
        check(
          start >= end + 11 && start + body.length <= data.length,
          'a tag outside the input or inside another',
        );
        end = start + body.length;
      }
    });
    check(code === null || code === 'SLUICE_FLV_MALFORMED', `${code} from the tags`);
  }
}
