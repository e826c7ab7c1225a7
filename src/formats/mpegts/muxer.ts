import { ADTS_HEADER_SIZE, MAX_ADTS_PAYLOAD, writeAdtsHeader } from '../../codecs/aac.ts';
import type { Packet } from '../../media/packet.ts';
import type { SegmentBody } from '../../media/segment-body.ts';
import { slabs } from '../../media/slab-pool.ts';
import { type Ticks, ticksFromMs, ticksFromSamples } from '../../media/time.ts';
import type { AudioTrack, Track, VideoTrack } from '../../media/track.ts';
import { AnnexBWriter } from './access-unit.ts';
import { Packetizer, type PesShape, packetCount } from './packetizer.ts';
import { type ElementaryStreamEntry, programAssociationSection, programMapSection } from './psi.ts';
import { PACKET_PAYLOAD, PID, pesHeaderSize, writePesHeader } from './wire.ts';

const STREAM_TYPE = { MP3_MPEG1: 0x03, MP3_MPEG2: 0x04, AAC_ADTS: 0x0f, H264: 0x1b } as const;
const STREAM_ID = { AUDIO: 0xc0, VIDEO: 0xe0 } as const;

/** Clock references run this far behind the decode times, so that audio grouped behind its video is never late. */
const PCR_DELAY = ticksFromMs(700);
/** ISO 13818-1 2.7.2 allows 100 ms between clock references. */
const PCR_INTERVAL = ticksFromMs(80);
/** Beyond this a packet is spent on the clock alone. Frames at 24 per second carry it every 83 ms. */
const LONGEST_PCR_INTERVAL = ticksFromMs(95);
const VIDEO_PCR_INTERVAL = ticksFromMs(55);
const AUDIO_PCR_INTERVAL = ticksFromMs(90);

/**
 * Audio frames share a PES packet: alone, each would waste up to a TS packet. A group is closed once it has this span
 * and ends close to a packet boundary, or at the longer span wherever it ends.
 */
interface Grouping {
  readonly minimum: number;
  readonly maximum: number;
  readonly acceptableWaste: number;
}
const BESIDE_VIDEO: Grouping = { minimum: ticksFromMs(80), maximum: ticksFromMs(180), acceptableWaste: 24 };
const AUDIO_ONLY: Grouping = { minimum: ticksFromMs(240), maximum: ticksFromMs(600), acceptableWaste: 24 };
/** PES_packet_length is 16 bits and counts three header bytes more than this. */
const MAX_AUDIO_GROUP = 60_000;

/** Why MPEG-TS in HLS cannot carry a track, or null when it can. */
export function reasonNotInTs(track: Track): string | null {
  if (track.codec === 'h264' || track.codec === 'mp3') return null;
  if (track.codec === 'aac')
    return track.adts === null ? 'this AAC profile or channel layout does not fit ADTS' : null;
  return `${track.codec.toUpperCase()} is not allowed in MPEG-TS segments`;
}

/** At most one video and one audio track that {@link reasonNotInTs} accepts. */
export interface TsTracks {
  readonly video: VideoTrack | null;
  readonly audio: AudioTrack | null;
}

/**
 * Muxes packets into MPEG-TS segments (ISO 13818-1, RFC 8216 3.2). One muxer lives as long as the rendition, so that
 * continuity counters and table versions go on; each segment starts with PAT and PMT and decodes on its own.
 */
export class TsMuxer {
  readonly #packetizer = new Packetizer();
  readonly #annexB = new AnnexBWriter();
  #tracks: TsTracks = { video: null, audio: null };
  #tables: { pat: Buffer; pmt: Buffer } | null = null;
  #pmtVersion = -1;
  #pcrPid: number = PID.VIDEO;
  /** Newest clock reference since the tracks were declared, on the line of decode times. */
  #lastPcr: Ticks | null = null;
  /** The open segment has no clock reference yet. */
  #clockMissing = true;
  #group: Packet[] = [];
  #groupBytes = 0;

  /** Bytes in the open segment so far. */
  get segmentBytes(): number {
    return this.#packetizer.length + this.#groupBytes;
  }

  /** Declares what the following segments carry. Call between segments only. */
  setTracks(tracks: TsTracks): void {
    this.#tracks = tracks;
    this.#tables = null;
    this.#lastPcr = null;
  }

  beginSegment(): void {
    this.#tables ??= this.#makeTables();
    this.#packetizer.writeSection(PID.PAT, this.#tables.pat);
    this.#packetizer.writeSection(PID.PMT, this.#tables.pmt);
    // The first PES packet of every segment carries a clock reference.
    this.#clockMissing = true;
  }

  /** Takes packets of the declared tracks; others are ignored. */
  write(packet: Packet): void {
    if (packet.track === this.#tracks.video) this.#writeVideo(packet, this.#tracks.video);
    else if (packet.track === this.#tracks.audio) this.#addAudio(packet, this.#tracks.audio);
  }

  /**
   * @param until decode time at which the next segment begins, or this one ends: clock references reach up to it
   * @returns the finished segment, a whole number of 188-byte packets, held by the caller
   */
  endSegment(until: Ticks): SegmentBody {
    this.#flushAudio();
    this.#fillPcrGap(until);
    return this.#packetizer.take();
  }

  /** What there is of an open segment is not wanted. */
  discard(): void {
    this.#releaseGroup();
    this.#packetizer.discard();
  }

  #makeTables(): { pat: Buffer; pmt: Buffer } {
    const { video, audio } = this.#tracks;
    const streams: ElementaryStreamEntry[] = [];
    if (video !== null) streams.push({ streamType: STREAM_TYPE.H264, pid: PID.VIDEO });
    if (audio !== null) streams.push({ streamType: audioStreamType(audio), pid: PID.AUDIO });
    this.#pcrPid = video !== null ? PID.VIDEO : PID.AUDIO;
    // A changed table needs a changed version, or demuxers keep the old one (ISO 13818-1 2.4.4.9).
    this.#pmtVersion = (this.#pmtVersion + 1) & 0x1f;
    return {
      pat: programAssociationSection(),
      pmt: programMapSection(this.#pmtVersion, this.#pcrPid, streams),
    };
  }

  #writeVideo({ data, pts, dts, keyframe }: Packet, track: VideoTrack): void {
    const parameters = track.h264;
    if (parameters === null) return;
    this.#fillPcrGap(dts);
    const clock = this.#nextPcr(dts);
    const pcrDue = this.#clockMissing || clock - (this.#lastPcr ?? clock) >= VIDEO_PCR_INTERVAL;
    if (pcrDue) this.#setPcr(clock);
    const headerSize = pesHeaderSize(pts, dts);
    const shape: PesShape = {
      pid: PID.VIDEO,
      length: headerSize + this.#annexB.measure(data, parameters, keyframe),
      randomAccess: keyframe,
      pcrCount: pcrDue ? 1 : 0,
      pcr: clock - PCR_DELAY,
      span: 0,
    };
    const { out, at } = this.#packetizer.beginPes(shape);
    writePesHeader(out, at, STREAM_ID.VIDEO, 0, pts, dts);
    this.#annexB.write(data, parameters, out, at + headerSize);
    this.#packetizer.finishPes(shape);
  }

  #addAudio(packet: Packet, track: AudioTrack): void {
    if (track.adts !== null && packet.data.length > MAX_ADTS_PAYLOAD) return;
    const size = packet.data.length + (track.adts === null ? 0 : ADTS_HEADER_SIZE);
    if (this.#groupBytes + size > MAX_AUDIO_GROUP || this.#breaksGroup(packet, track)) this.#flushAudio();
    slabs.hold(packet.data);
    this.#group.push(packet);
    this.#groupBytes += size;
    const span = this.#groupSpan(track);
    const grouping = this.#tracks.video === null ? AUDIO_ONLY : BESIDE_VIDEO;
    if (span < grouping.minimum) return;
    const shape = this.#audioShape(this.#group[0] ?? packet, span);
    const room = packetCount(shape.length, shape.randomAccess, shape.pcrCount) * PACKET_PAYLOAD;
    if (span >= grouping.maximum || room - shape.length - 8 * shape.pcrCount <= grouping.acceptableWaste) {
      this.#flushAudio();
    }
  }

  /** Only the first frame of a PES packet has a time; the others are counted from it, so a gap needs a new packet. */
  #breaksGroup(packet: Packet, track: AudioTrack): boolean {
    const first = this.#group[0];
    if (first === undefined) return false;
    return Math.abs(packet.pts - (first.pts + this.#groupSpan(track))) > ticksFromMs(10);
  }

  #groupSpan(track: AudioTrack): number {
    return ticksFromSamples(this.#group.length * track.samplesPerFrame, track.sampleRate);
  }

  #audioShape(first: Packet, span: number): PesShape {
    const isClock = this.#pcrPid === PID.AUDIO;
    // Frames may come closer together than their samples say; the clock must not go back for that.
    const start = this.#nextPcr(first.pts);
    const left = Math.max(0, first.pts + span - start);
    return {
      pid: PID.AUDIO,
      length: pesHeaderSize(first.pts, first.pts) + this.#groupBytes,
      randomAccess: isClock,
      pcrCount: isClock ? Math.max(1, Math.ceil(left / AUDIO_PCR_INTERVAL)) : 0,
      pcr: start - PCR_DELAY,
      span: left,
    };
  }

  #flushAudio(): void {
    const first = this.#group[0];
    const track = this.#tracks.audio;
    if (first === undefined || track === null) return;
    const span = this.#groupSpan(track);
    const shape = this.#audioShape(first, span);
    this.#fillPcrGap(first.pts);
    if (shape.pcrCount > 0) {
      const { pcr, pcrCount } = shape;
      this.#setPcr(pcr + PCR_DELAY + Math.floor((shape.span * (pcrCount - 1)) / pcrCount));
    } else if (this.#clockMissing) {
      // The video that carries the clock has stopped, and a segment began without it.
      const clock = this.#nextPcr(first.pts);
      this.#setPcr(clock);
      this.#packetizer.writePcrOnly(this.#pcrPid, clock - PCR_DELAY);
    }
    const { out, at } = this.#packetizer.beginPes(shape);
    const headerSize = shape.length - this.#groupBytes;
    writePesHeader(out, at, STREAM_ID.AUDIO, shape.length - 6, first.pts, first.pts);
    let target = at + headerSize;
    for (const { data } of this.#group) {
      if (track.adts !== null) {
        writeAdtsHeader(out, target, track.adts, data.length);
        target += ADTS_HEADER_SIZE;
      }
      out.set(data, target);
      target += data.length;
    }
    this.#packetizer.finishPes(shape);
    this.#releaseGroup();
  }

  #releaseGroup(): void {
    for (const { data } of this.#group) slabs.release(data);
    this.#group = [];
    this.#groupBytes = 0;
  }

  /**
   * The reference for a frame with this decode time. Sound that came before its pictures may have moved the clock beyond
   * them already, in the segment before, too; it must not stand still or go back for that.
   */
  #nextPcr(dts: Ticks): Ticks {
    return this.#lastPcr === null ? dts : Math.max(dts, this.#lastPcr + 1);
  }

  #setPcr(clock: Ticks): void {
    this.#lastPcr = clock;
    this.#clockMissing = false;
  }

  /** Where frames are further apart than clock references may be, packets with nothing else go between. */
  #fillPcrGap(until: Ticks): void {
    if (this.#lastPcr === null || this.#clockMissing) return;
    while (until - this.#lastPcr > LONGEST_PCR_INTERVAL) {
      this.#lastPcr += PCR_INTERVAL;
      this.#packetizer.writePcrOnly(this.#pcrPid, this.#lastPcr - PCR_DELAY);
    }
  }
}

function audioStreamType(track: AudioTrack): number {
  if (track.codec === 'aac') return STREAM_TYPE.AAC_ADTS;
  return track.samplesPerFrame === 1152 ? STREAM_TYPE.MP3_MPEG1 : STREAM_TYPE.MP3_MPEG2;
}
