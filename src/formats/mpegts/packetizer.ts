import { BodyWriter, type SegmentBody } from '../../media/segment-body.ts';
import type { Ticks } from '../../media/time.ts';
import {
  ADAPTATION,
  adaptationSize,
  PACKET_PAYLOAD,
  PACKET_SIZE,
  writeAdaptation,
  writePacketHeader,
} from './wire.ts';

/** A PID has 13 bits. */
const PIDS = 0x2000;
/** Called without looking for it on a Buffer, where it costs a third more. */
const { copyWithin } = Uint8Array.prototype;
/** Room for most keyframes. Larger ones get room of their own for as long as it takes to write them. */
const BENCH_BYTES = 512 * 1024;
/** V8 writes shared memory eight bytes at a time where both sides are aligned alike, else byte by byte: a sixth as fast. */
const WORD_BYTES = 8;
/**
 * Where PES packets are cut into TS packets, of all segments one after the other: so it stays in the processor's cache,
 * and the memory of segments, which does not, is touched once.
 */
const BENCH = Buffer.allocUnsafeSlow(BENCH_BYTES);

/** A PES packet about to be written: how long it is and which clock references it carries. */
export interface PesShape {
  readonly pid: number;
  /** Bytes of header and payload. */
  readonly length: number;
  readonly randomAccess: boolean;
  /** Clock references spread over the packet; 0 for none. More than one only when it spans more than 80 ms. */
  readonly pcrCount: number;
  /** Value of the first reference, and the time that the packet spans. */
  readonly pcr: Ticks;
  readonly span: number;
}

/** TS packets needed for a PES packet of this shape. */
export function packetCount(length: number, randomAccess: boolean, pcrCount: number): number {
  const firstFlags = (randomAccess ? ADAPTATION.RANDOM_ACCESS : 0) | (pcrCount > 0 ? ADAPTATION.PCR : 0);
  const overhead = adaptationSize(firstFlags) + Math.max(0, pcrCount - 1) * adaptationSize(ADAPTATION.PCR);
  return Math.max(pcrCount, Math.ceil((length + overhead) / PACKET_PAYLOAD));
}

/**
 * Writes TS packets into the body of a segment. Continuity counters live as long as the packetizer, so they run on across
 * segments (ISO 13818-1 2.4.3.3).
 */
export class Packetizer {
  /** continuity_counter of the next packet with payload, by PID. */
  readonly #counters = new Uint8Array(PIDS);
  readonly #body = new BodyWriter();
  /** Where the next PES packet is cut; nothing in it outlives a call from `begin` to `finish`. */
  #bench = BENCH;

  /** Where on the bench the next packets begin: as far into a word as they will in the body. */
  get #start(): number {
    return this.#body.length % WORD_BYTES;
  }

  /** Of the segment so far. */
  get length(): number {
    return this.#body.length;
  }

  /** Hands over the segment, held by the caller. */
  take(): SegmentBody {
    return this.#body.take();
  }

  /** The segment is not wanted. */
  discard(): void {
    this.#body.discard();
  }

  /** A table section in a packet of its own, padded with 0xff after it (sections are not stuffed otherwise). */
  writeSection(pid: number, section: Uint8Array): void {
    const out = BENCH;
    const start = this.#start;
    writePacketHeader(out, start, pid, true, false, true, this.#nextCounter(pid));
    out[start + 4] = 0; // pointer_field
    out.set(section, start + 5);
    out.fill(0xff, start + 5 + section.length, start + PACKET_SIZE);
    this.#body.write(out.buffer, start, start + PACKET_SIZE);
  }

  /** A packet with nothing but a clock reference. Its counter does not move: it has no payload. */
  writePcrOnly(pid: number, pcr: Ticks): void {
    const counter = ((this.#counters[pid] ?? 0) + 15) & 0x0f;
    const start = this.#start;
    writePacketHeader(BENCH, start, pid, false, true, false, counter);
    writeAdaptation(BENCH, start + 4, PACKET_PAYLOAD, ADAPTATION.PCR, pcr);
    this.#body.write(BENCH.buffer, start, start + PACKET_SIZE);
  }

  /**
   * Makes room for a PES packet and returns where its bytes have to be written, contiguously. They stand at the end
   * of the room; {@link finishPes} then moves them forward into the packets. Moving inside one buffer is what makes
   * this fast: a copy between buffers costs a view per 184 bytes, and each byte moved this way never overtakes one
   * that is still to be read, because the packets only ever shrink the distance.
   */
  beginPes(shape: PesShape): { out: Buffer; at: number } {
    const size = packetCount(shape.length, shape.randomAccess, shape.pcrCount) * PACKET_SIZE;
    const end = this.#start + size;
    this.#bench = end <= BENCH_BYTES ? BENCH : Buffer.allocUnsafeSlow(end);
    return { out: this.#bench, at: end - shape.length };
  }

  finishPes(shape: PesShape): void {
    const { pid, pcrCount } = shape;
    const count = packetCount(shape.length, shape.randomAccess, pcrCount);
    const out = this.#bench;
    const start = this.#start;
    const end = start + count * PACKET_SIZE;
    const high = pid >> 8;
    const low = pid & 0xff;
    let source = end - shape.length;
    let at = start;
    let counter = this.#counters[pid] ?? 0;
    let pcrsWritten = 0;
    for (let index = 0; index < count; index++) {
      if (index > 0 && pcrsWritten === pcrCount && end - source >= PACKET_PAYLOAD) {
        // Nearly all packets are like this, so nothing is computed that is known: header, no adaptation, 184 bytes.
        out[at] = 0x47;
        out[at + 1] = high;
        out[at + 2] = low;
        out[at + 3] = 0x10 | counter;
        copyWithin.call(out, at + 4, source, source + PACKET_PAYLOAD);
        counter = (counter + 1) & 0x0f;
        source += PACKET_PAYLOAD;
        at += PACKET_SIZE;
        continue;
      }
      let flags = index === 0 && shape.randomAccess ? ADAPTATION.RANDOM_ACCESS : 0;
      // Reference number n goes into the packet at n / pcrCount of the way.
      const pcrDue = pcrsWritten < pcrCount && index * pcrCount >= pcrsWritten * count;
      // The times are evenly spaced whatever the packet, or the distance of two could exceed span / pcrCount.
      const pcr = shape.pcr + Math.floor((shape.span * pcrsWritten) / Math.max(1, pcrCount));
      if (pcrDue) {
        flags |= ADAPTATION.PCR;
        pcrsWritten++;
      }
      const payload = Math.min(PACKET_PAYLOAD - adaptationSize(flags), end - source);
      const adaptation = PACKET_PAYLOAD - payload;
      // A packet that is there only for its clock reference has no payload and repeats the counter.
      const number = payload > 0 ? counter : (counter + 15) & 0x0f;
      writePacketHeader(out, at, pid, index === 0, adaptation > 0, payload > 0, number);
      if (payload > 0) counter = (counter + 1) & 0x0f;
      if (adaptation > 0) {
        writeAdaptation(out, at + 4, adaptation, flags, pcr);
      }
      out.copyWithin(at + 4 + adaptation, source, source + payload);
      source += payload;
      at += PACKET_SIZE;
    }
    this.#counters[pid] = counter;
    this.#body.write(out.buffer, start, end);
    this.#bench = BENCH;
  }

  #nextCounter(pid: number): number {
    const counter = this.#counters[pid] ?? 0;
    this.#counters[pid] = (counter + 1) & 0x0f;
    return counter;
  }
}
