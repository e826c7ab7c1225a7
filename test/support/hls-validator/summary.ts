import { averageBitRate, peakBitRate } from './bit-rates.ts';
import type { Finding } from './report.ts';
import { formatFindings } from './report.ts';
import type { Variant } from './variant.ts';

export type Summary = {
  polls: number;
  errors: number;
  warnings: number;
  checks: Record<string, number>;
  variants: {
    url: string;
    segments: number;
    seconds: number;
    peakBitRate: number | undefined;
    averageBitRate: number | undefined;
    overheadRatio: number | undefined;
    codecs: string[];
    audioFramesPerPacket: number | undefined;
  }[];
  text: string;
};

export function summarise(findings: readonly Finding[], all: Iterable<Variant>, polls: number): Summary {
  const checks: Record<string, number> = {};
  for (const { check } of findings) checks[check] = (checks[check] ?? 0) + 1;
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const warnings = findings.length - errors;
  const variants = [...all].map(summariseVariant);
  const lines = variants.map(
    (variant) => `${variant.url}: ${variant.segments} segments, ${variant.seconds.toFixed(1)} s`,
  );
  const counts = `${errors} errors, ${warnings} warnings in ${polls} polls`;
  return {
    polls,
    errors,
    warnings,
    checks,
    variants,
    text: [counts, ...lines, formatFindings(findings)].filter((line) => line !== '').join('\n'),
  };
}

function summariseVariant(variant: Variant): Summary['variants'][number] {
  const { video, audio } = variant.facts;
  const packets = audio?.packets ?? [];
  return {
    url: variant.key,
    segments: variant.rates.length,
    seconds: variant.rates.reduce((sum, segment) => sum + segment.duration, 0),
    peakBitRate: peakBitRate(variant.rates, variant.targetDuration ?? 1),
    averageBitRate: averageBitRate(variant.rates),
    overheadRatio:
      variant.overhead.elementary > 0 ? variant.overhead.total / variant.overhead.elementary - 1 : undefined,
    codecs: [video?.codec, audio?.codec].filter((codec) => codec !== undefined),
    audioFramesPerPacket:
      packets.length > 0
        ? packets.reduce((sum, packet) => sum + packet.frames, 0) / packets.length
        : undefined,
  };
}
