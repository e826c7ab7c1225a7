import { decodeAmf0 } from '../formats/amf/amf0.ts';
import { type AmfValue, memberOf, membersOf, numberOf } from '../formats/amf/value.ts';
import type { AnnouncedMedia } from '../media/frame.ts';
import { MESSAGE, type RtmpMessage } from './message.ts';

export interface RtmpCommand {
  readonly name: string;
  /** 0 wants no reply. */
  readonly transactionId: number;
  /** Command object first, then the arguments. */
  readonly args: readonly AmfValue[];
}

/** Values of a command or data message of either AMF version. @throws SluiceError SLUICE_AMF_* */
export function decodeValues({ type, body }: RtmpMessage): AmfValue[] {
  // AMF3 messages begin with a format selector 0, then AMF0 values that may switch; some libraries leave it out.
  const amf3 = type === MESSAGE.COMMAND_AMF3 || type === MESSAGE.DATA_AMF3;
  return decodeAmf0(amf3 && body[0] === 0 ? body.subarray(1) : body);
}

/** Null when the message is no command: commands begin with a name. @throws SluiceError SLUICE_AMF_* */
export function decodeCommand(message: RtmpMessage): RtmpCommand | null {
  const [name, transactionId, ...args] = decodeValues(message);
  if (typeof name !== 'string') return null;
  return { name, transactionId: typeof transactionId === 'number' ? transactionId : 0, args };
}

/** A data message without the `@setDataFrame` that publishers wrap it in. */
export interface RtmpData {
  readonly name: string;
  readonly values: readonly AmfValue[];
}

/** Null when it has no name. @throws SluiceError SLUICE_AMF_* */
export function decodeData(message: RtmpMessage): RtmpData | null {
  const values = decodeValues(message);
  if (values[0] === '@setDataFrame') values.shift();
  const [name, ...rest] = values;
  return typeof name === 'string' ? { name, values: rest } : null;
}

/** What onMetaData promises, or null when the data is something else. */
export function announcedMedia({ name, values }: RtmpData): AnnouncedMedia | null {
  if (name !== 'onMetaData') return null;
  const metadata = values.find((value) => membersOf(value) !== undefined);
  if (metadata === undefined) return null;
  const has = (...keys: string[]) =>
    keys.some((key) => {
      const value = memberOf(metadata, key);
      return value !== undefined && value !== null && value !== 0 && value !== '' && value !== false;
    });
  // Encoders that list neither codec say nothing by leaving one out.
  const video = has('videocodecid') || (numberOf(metadata, 'width') ?? 0) > 0;
  const audio = has('audiocodecid', 'audiosamplerate');
  return video || audio ? { video, audio } : null;
}
