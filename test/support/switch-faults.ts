import type { FrameTimes } from './frame-times.ts';

/** By media sequence number. */
export type VariantTimes = ReadonlyMap<number, FrameTimes>;

/** Ticks; timestamps have whole milliseconds at their origin. */
const TOLERANCE = 2 * 90;

/**
 * What a viewer would notice that goes from any segment n of one variant to segment n + 1 of any other, all pairs in
 * both directions: missing or doubled pictures, and a hole or an overlap in the sound of more than a frame. Also
 * pictures that the source does not have.
 *
 * @param variants by name; the first one is the source
 */
export function switchFaults(variants: ReadonlyMap<string, VariantTimes>): string[] {
  const faults: string[] = [];
  const [source] = variants.values();
  for (const [from, segments] of variants) {
    for (const [number, times] of segments) {
      faults.push(
        ...foreignPictures(source?.get(number), times).map((fault) => `${from} #${number}: ${fault}`),
      );
      for (const [to, others] of variants) {
        const next = others.get(number + 1);
        if (next === undefined) continue;
        const found = [videoFault(times, next), audioFault(times, next)].filter((fault) => fault !== null);
        faults.push(...found.map((fault) => `${from} #${number} to ${to} #${number + 1}: ${fault}`));
      }
    }
  }
  return faults;
}

/** How many changes were looked at. */
export function countSwitches(variants: ReadonlyMap<string, VariantTimes>): number {
  const all = [...variants.values()];
  return all
    .flatMap((segments) => [...segments.keys()])
    .reduce((sum, number) => sum + all.filter((others) => others.has(number + 1)).length, 0);
}

function foreignPictures(source: FrameTimes | undefined, { video }: FrameTimes): string[] {
  if (source === undefined) return [];
  const known = new Set(source.video);
  const foreign = video.filter((pts) => !known.has(pts) && !known.has(pts - 1) && !known.has(pts + 1));
  return foreign.length === 0 ? [] : [`${foreign.length} pictures of ${video.length} are not in the source`];
}

function videoFault({ video }: FrameTimes, next: FrameTimes): string | null {
  const [last, first] = [video.at(-1), next.video[0]];
  if (last === undefined || first === undefined) return null;
  const longest = Math.max(...video.slice(1).map((pts, index) => pts - (video[index] ?? pts)));
  const step = first - last;
  if (step > 0 && step <= longest + TOLERANCE) return null;
  return `the next picture comes after ${ms(step)} ms instead of ${ms(longest)} ms`;
}

function audioFault({ audio }: FrameTimes, next: FrameTimes): string | null {
  const [last, first] = [audio.at(-1), next.audio[0]];
  if (last === undefined || first === undefined) return null;
  const frame = last.end - last.start;
  const hole = first.start - last.end;
  if (Math.abs(hole) <= frame + TOLERANCE) return null;
  return `the sound goes on ${ms(hole)} ms off its end`;
}

function ms(ticks: number): string {
  return (ticks / 90).toFixed(1);
}
