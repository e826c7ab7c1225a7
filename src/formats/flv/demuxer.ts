import { aacTrack, adtsHeaderSize, MAX_ADTS_PAYLOAD } from '../../codecs/aac.ts';
import { audioFormat } from '../../codecs/audio-headers.ts';
import { bytesEqual } from '../../codecs/bytes.ts';
import { codecStringFromRecord } from '../../codecs/codec-strings.ts';
import {
  ACCESS_UNIT,
  buildAvcC,
  h264Track,
  parameterSetsIn,
  parseAvcC,
  scanAccessUnit,
} from '../../codecs/h264.ts';
import { mp3Track, parseMp3Header } from '../../codecs/mp3.ts';
import { SluiceError } from '../../media/errors.ts';
import type { Frame } from '../../media/frame.ts';
import { SLAB_BYTES } from '../../media/slab-pool.ts';
import { msFromTicks, ticksFromSamples } from '../../media/time.ts';
import type { AudioTrack, VideoTrack } from '../../media/track.ts';
import { type AudioPart, parseAudioTag } from './audio-tag.ts';
import { parseVideoTag, type VideoPart } from './video-tag.ts';

/** NAL length size of nearly every encoder, used until an avcC says otherwise. */
const USUAL_NAL_LENGTH_SIZE = 4;
/** Of each kind. Enhanced Broadcasting sends up to six pictures; the format would allow 256. */
const MAX_TRACKS = 8;
/** One is usual; this is over a second. */
const MAX_MP3_FRAMES = 64;
const NO_CONFIG = new Uint8Array(0);

/**
 * Turns audio and video message bodies into frames with the Track that decodes them. Sequence headers and their
 * timestamps (often 0 in mid-stream) never leave this class; repeated equal ones change nothing.
 */
export class FlvDemuxer {
  readonly #emit: (frame: Frame) => void;
  readonly #video = new Map<number, VideoTrack>();
  readonly #audio = new Map<number, AudioTrack>();
  /** The last sequence header of each video track as it came; its track may meanwhile be one found in band. */
  readonly #headers = new Map<number, Uint8Array>();
  /** Video tracks that have shown an IDR: from then on the keyframe flag alone is not believed. */
  readonly #sawIdr = new Set<number>();
  readonly #drop: (reason: SluiceError) => void;

  /** @param drop told of each frame, or part of one, that cannot be decoded */
  constructor(emit: (frame: Frame) => void, drop: (reason: SluiceError) => void) {
    this.#emit = emit;
    this.#drop = drop;
  }

  /** @throws SluiceError SLUICE_FLV_MALFORMED, SLUICE_CODEC_MALFORMED; the next message can be pushed all the same */
  pushVideo(timestamp: number, body: Buffer): void {
    parseVideoTag(body, (part) => {
      if (!this.#hasRoom(this.#video, part.trackNumber)) return;
      if (part.codec === 'h264') this.#h264(timestamp, part);
      else this.#opaqueVideo(timestamp, part);
    });
  }

  /** @throws SluiceError SLUICE_FLV_MALFORMED, SLUICE_CODEC_MALFORMED; the next message can be pushed all the same */
  pushAudio(timestamp: number, body: Buffer): void {
    parseAudioTag(body, (part) => {
      if (!this.#hasRoom(this.#audio, part.trackNumber)) return;
      if (part.codec === 'aac') this.#aac(timestamp, part);
      else if (part.codec === 'mp3') this.#mp3(timestamp, part);
      else this.#opaqueAudio(timestamp, part);
    });
  }

  #hasRoom(tracks: ReadonlyMap<number, unknown>, number: number): boolean {
    if (tracks.has(number) || tracks.size < MAX_TRACKS) return true;
    this.#lose(`more than ${MAX_TRACKS} tracks of a kind`);
    return false;
  }

  #h264(timestamp: number, part: VideoPart): void {
    const number = part.trackNumber;
    let track = this.#video.get(number);
    if (track?.codec !== 'h264') track = undefined;
    if (part.content === 'config') {
      const last = this.#headers.get(number);
      if (track !== undefined && last !== undefined && bytesEqual(last, part.body)) return;
      // A copy: the message is gone soon.
      const header = new Uint8Array(part.body);
      this.#headers.set(number, header);
      this.#video.set(number, h264Track(`v${number}`, header, parseAvcC(header)));
      return;
    }
    const nalLengthSize = track?.h264?.nalLengthSize ?? USUAL_NAL_LENGTH_SIZE;
    const unit = scanAccessUnit(part.body, nalLengthSize);
    if (unit & ACCESS_UNIT.SPS) track = this.#inBandTrack(number, track, part.body, nalLengthSize);
    if (unit & ACCESS_UNIT.DAMAGED) this.#lose('a NAL unit is longer than its message');
    // Some encoders send the parameter sets in a message of their own.
    if (!(unit & ACCESS_UNIT.SLICE)) return;
    if (track === undefined) {
      this.#lose('a picture came before its sequence header');
      return;
    }
    const idr = (unit & ACCESS_UNIT.IDR) !== 0;
    if (idr) this.#sawIdr.add(number);
    // Open GOPs mark their entry points; streams that never send an IDR still have a place to start.
    const isEntry = () => (unit & ACCESS_UNIT.RECOVERY_POINT) !== 0 || !this.#sawIdr.has(number);
    this.#emitVideo(timestamp, part, track, idr || (part.keyframe && isEntry()));
  }

  /** Parameter sets inside the access unit win over the sequence header; a changed SPS is a changed track. */
  #inBandTrack(
    number: number,
    track: VideoTrack | undefined,
    data: Buffer,
    nalLengthSize: number,
  ): VideoTrack | undefined {
    const { sps, pps } = parameterSetsIn(data, nalLengthSize);
    const known = track?.h264;
    const first = sps[0];
    if (first === undefined || known?.sps.some((set) => bytesEqual(set, first))) return track;
    const parameters = { nalLengthSize, sps, pps: pps.length > 0 ? pps : (known?.pps ?? []) };
    if (parameters.pps.length === 0) return track;
    const changed = h264Track(`v${number}`, buildAvcC(parameters), parameters);
    this.#video.set(number, changed);
    return changed;
  }

  #opaqueVideo(timestamp: number, part: VideoPart): void {
    const number = part.trackNumber;
    let track = this.#video.get(number);
    const config = part.content === 'config' ? part.body : NO_CONFIG;
    const changed = part.content === 'config' && track !== undefined && !bytesEqual(track.config, config);
    if (track?.codec !== part.codec || track.flvHeader !== part.flvHeader || changed) {
      track = {
        id: `v${number}`,
        kind: 'video',
        codec: part.codec,
        config: new Uint8Array(config),
        codecString: codecStringFromRecord(part.codec, config),
        flvHeader: part.flvHeader,
        width: 0,
        height: 0,
        frameRate: null,
        h264: null,
      };
      this.#video.set(number, track);
    }
    if (part.content === 'frame') this.#emitVideo(timestamp, part, track, part.keyframe);
  }

  #lose(what: string): void {
    this.#drop(new SluiceError('SLUICE_FLV_MALFORMED', what));
  }

  #emitVideo(timestamp: number, part: VideoPart, track: VideoTrack, keyframe: boolean): void {
    if (part.body.length === 0) return;
    const { compositionOffset, nanoseconds, body } = part;
    this.#emit({ track, timestamp, compositionOffset, nanoseconds, keyframe, data: inFittingMemory(body) });
  }

  #aac(timestamp: number, part: AudioPart): void {
    const number = part.trackNumber;
    let track = this.#audio.get(number);
    if (track?.codec !== 'aac') track = undefined;
    if (part.content === 'config') {
      if (part.body.length === 0 || (track !== undefined && bytesEqual(track.config, part.body))) return;
      this.#audio.set(number, aacTrack(`a${number}`, new Uint8Array(part.body)));
      return;
    }
    // Some encoders leave the ADTS header in; it can stand in for a missing sequence header.
    const headerSize = adtsHeaderSize(part.body);
    if (track === undefined && headerSize > 0) {
      track = aacTrack(`a${number}`, configFromAdts(part.body));
      this.#audio.set(number, track);
    }
    if (track === undefined) {
      this.#lose('audio came before its sequence header');
      return;
    }
    if (part.body.length - headerSize > MAX_ADTS_PAYLOAD) {
      this.#lose('an AAC frame is longer than AAC frames can be');
      return;
    }
    this.#emitAudio(timestamp, part, track, part.body.subarray(headerSize));
  }

  /** A message may hold several MP3 frames; each becomes one Frame so that samples can be counted. */
  #mp3(timestamp: number, part: AudioPart): void {
    const number = part.trackNumber;
    let offsetMs = 0;
    let frames = 0;
    for (let position = 0; position < part.body.length; ) {
      if (++frames > MAX_MP3_FRAMES) {
        this.#lose(`more than ${MAX_MP3_FRAMES} MP3 frames in a message`);
        return;
      }
      const header = parseMp3Header(part.body, position);
      if (header === null) {
        this.#lose('MP3 data has no frame header');
        return;
      }
      let track = this.#audio.get(number);
      const same =
        track?.codec === 'mp3' &&
        track.sampleRate === header.sampleRate &&
        track.channels === header.channels;
      if (track === undefined || !same) {
        track = mp3Track(`a${number}`, header);
        this.#audio.set(number, track);
      }
      const frame = part.body.subarray(position, position + header.frameSize);
      this.#emitAudio((timestamp + Math.round(offsetMs)) >>> 0, part, track, frame);
      offsetMs += msFromTicks(ticksFromSamples(header.samplesPerFrame, header.sampleRate));
      position += header.frameSize;
    }
  }

  #opaqueAudio(timestamp: number, part: AudioPart): void {
    const number = part.trackNumber;
    let track = this.#audio.get(number);
    const config = part.content === 'config' ? part.body : NO_CONFIG;
    const changed = part.content === 'config' && track !== undefined && !bytesEqual(track.config, config);
    if (track?.codec !== part.codec || track.flvHeader !== part.flvHeader || changed) {
      track = {
        id: `a${number}`,
        kind: 'audio',
        codec: part.codec,
        config: new Uint8Array(config),
        codecString: codecStringFromRecord(part.codec, config),
        flvHeader: part.flvHeader,
        samplesPerFrame: 0,
        adts: null,
        ...audioFormat(part.codec, part.body),
      };
      this.#audio.set(number, track);
    }
    if (part.content === 'frame') this.#emitAudio(timestamp, part, track, part.body);
  }

  #emitAudio(timestamp: number, part: AudioPart, track: AudioTrack, data: Buffer): void {
    if (data.length === 0) return;
    this.#emit({
      track,
      timestamp,
      compositionOffset: 0,
      nanoseconds: part.nanoseconds,
      keyframe: true,
      data: inFittingMemory(data),
    });
  }
}

/**
 * A frame that waits keeps all the memory that it lies in, and limits count its size: a tiny one of a message whose rest
 * is garbage is copied out. Those of small messages lie in 8 KiB.
 */
function inFittingMemory(data: Buffer): Uint8Array {
  const { byteLength } = data.buffer;
  return byteLength >= SLAB_BYTES && data.length < byteLength / 16 ? new Uint8Array(data) : data;
}

/** The two-byte AudioSpecificConfig that says what an ADTS header says: objectType(5) frequency(4) channels(4) 000. */
function configFromAdts(frame: Buffer): Buffer {
  const objectType = (frame.readUInt8(2) >> 6) + 1;
  const frequencyIndex = (frame.readUInt8(2) >> 2) & 0x0f;
  const channels = ((frame.readUInt8(2) & 1) << 2) | (frame.readUInt8(3) >> 6);
  return Buffer.from([
    (objectType << 3) | (frequencyIndex >> 1),
    ((frequencyIndex & 1) << 7) | (channels << 3),
  ]);
}
