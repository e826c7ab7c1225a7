import { check } from './tolerate.ts';

const PACKET_SIZE = 188;
const PAT = 0;
const PMT = 0x1000;
const TWO_32 = 2 ** 32;
const TWO_33 = 2 ** 33;

/**
 * Checks the packets of one rendition's segments in order: sizes, sync bytes, tables first, unbroken counters, and
 * inside a segment clock references and decode times that do not go back.
 */
export class TransportStreamChecker {
  readonly #counters = new Map<number, number>();

  segment(data: Buffer): void {
    check(data.length > 0 && data.length % PACKET_SIZE === 0, `a segment of ${data.length} bytes`);
    const times = new Map<string, number>();
    for (let at = 0; at < data.length; at += PACKET_SIZE) {
      const packet = data.subarray(at, at + PACKET_SIZE);
      check(packet[0] === 0x47, `no sync byte at ${at}`);
      const pid = packet.readUInt16BE(1) & 0x1fff;
      if (at === 0) check(pid === PAT, `a segment begins with PID ${pid}`);
      if (at === PACKET_SIZE) check(pid === PMT, `PID ${pid} behind the PAT`);
      this.#packet(pid, packet, times);
    }
  }

  #packet(pid: number, packet: Buffer, times: Map<string, number>): void {
    const control = packet.readUInt8(3);
    const hasAdaptation = (control & 0x20) !== 0;
    const hasPayload = (control & 0x10) !== 0;
    check(hasAdaptation || hasPayload, 'a packet of nothing');
    const adaptation = hasAdaptation ? 1 + packet.readUInt8(4) : 0;
    check(adaptation <= PACKET_SIZE - 4 - (hasPayload ? 1 : 0), `adaptation field of ${adaptation} bytes`);
    const counter = control & 0x0f;
    const last = this.#counters.get(pid);
    const expected = last === undefined ? counter : hasPayload ? (last + 1) & 0x0f : last;
    check(counter === expected, `counter ${counter} on PID ${pid}, not ${expected}`);
    this.#counters.set(pid, counter);
    // Flag 0x10: a clock reference of 33 bits follows.
    if (adaptation >= 8 && (packet.readUInt8(5) & 0x10) !== 0) {
      advance(times, 'clock reference', packet.readUInt32BE(6) * 2 + (packet.readUInt8(10) >> 7));
    }
    const unitStart = (packet.readUInt8(1) & 0x40) !== 0;
    if (unitStart && pid !== PAT && pid !== PMT) this.#unit(pid, packet.subarray(4 + adaptation), times);
  }

  #unit(pid: number, pes: Buffer, times: Map<string, number>): void {
    check(pes.length >= 14 && pes.readUIntBE(0, 3) === 1, 'no PES header where a unit starts');
    const hasDecodeTime = (pes.readUInt8(7) & 0x40) !== 0;
    const at = hasDecodeTime ? 14 : 9;
    const upper = (pes.readUInt8(at) >> 1) & 7;
    const time =
      upper * 2 ** 30 + (pes.readUInt16BE(at + 1) >> 1) * 2 ** 15 + (pes.readUInt16BE(at + 3) >> 1);
    advance(times, `decode time of PID ${pid}`, time);
  }
}

/** Times wrap at 33 bits; forward is the shorter way round. */
function advance(times: Map<string, number>, name: string, time: number): void {
  const forward = (time - (times.get(name) ?? time) + TWO_33) % TWO_33;
  check(forward < TWO_32, `a ${name} of ${time} after ${times.get(name)}`);
  times.set(name, time);
}
