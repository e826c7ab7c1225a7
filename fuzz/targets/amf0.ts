import { decodeAmf0, encodeAmf0 } from '../../src/formats/amf/amf0.ts';
import { encodeAmf3 } from '../../src/formats/amf/amf3-encoder.ts';
import type { AmfValue } from '../../src/formats/amf/value.ts';
import { checkRoundTrip } from '../support/amf.ts';

/** An AMF0 message. */
export const maxLength = 2048;

export function fuzz(data: Buffer): void {
  checkRoundTrip(data, {
    decode: decodeAmf0,
    encode: encodeAmf0,
    encodeAsOther: (values: readonly AmfValue[]) => encodeAmf3(values),
  });
}
