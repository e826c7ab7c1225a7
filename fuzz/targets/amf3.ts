import { encodeAmf0 } from '../../src/formats/amf/amf0.ts';
import { decodeAmf3 } from '../../src/formats/amf/amf3-decoder.ts';
import { encodeAmf3 } from '../../src/formats/amf/amf3-encoder.ts';
import type { AmfValue } from '../../src/formats/amf/value.ts';
import { checkRoundTrip } from '../support/amf.ts';

/** An AMF3 message. */
export const maxLength = 2048;

export function fuzz(data: Buffer): void {
  checkRoundTrip(data, {
    decode: decodeAmf3,
    encode: encodeAmf3,
    encodeAsOther: (values: readonly AmfValue[]) => encodeAmf0(values),
  });
}
