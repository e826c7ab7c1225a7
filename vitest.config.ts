import { defineConfig } from 'vitest/config';

// unit: pure and in-process, fast. fuzz: what fuzzing found, tried again. interop: real programs (ffmpeg, GStreamer,
// Chromium) against a real gateway. faults: hostile peers and sick machines against the command in a process of its own.

/** What takes long and varies what other tests show: run by `npm run test:proofs`, not by `npm test`. */
const PROOFS = [
  'test/interop/writers.test.ts',
  'test/interop/thumbnail-codecs.test.ts',
  'test/interop/h264-still.test.ts',
  'test/interop/keyframe-interval.test.ts',
  'test/interop/ladder-kill.test.ts',
  'test/interop/ladder-faults.test.ts',
  'test/interop/track-encoder.test.ts',
  'test/interop/first-playlist.test.ts',
  'test/interop/ingest-doctor.test.ts',
  'test/interop/slate.test.ts',
  'test/browser/restart.test.ts',
  'test/interop/containers.test.ts',
  'test/browser/ladder.test.ts',
  'test/browser/slate.test.ts',
  'test/browser/quality-menu.test.ts',
];

const SETUP = ['test/support/scramble-slabs.ts'];

export default defineConfig(({ mode }) => ({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          setupFiles: SETUP,
          include: ['test/**/*.test.ts'],
          exclude: ['test/fuzz/**', 'test/interop/**', 'test/browser/**', 'test/faults/**'],
          // They share no state worth a process each, and starting those took longer than the tests.
          isolate: false,
          // One less than the cores otherwise, which is one of two.
          maxWorkers: '100%',
          // No test waits for time, but property tests share slow machines with others.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'fuzz',
          setupFiles: SETUP,
          include: ['test/fuzz/**/*.test.ts'],
          // They collect garbage to see what is held, which takes long in the heap of all other tests.
          testTimeout: 120_000,
          maxWorkers: '100%',
        },
      },
      {
        test: {
          name: 'interop',
          setupFiles: SETUP,
          include: ['test/interop/**/*.test.ts', 'test/browser/**/*.test.ts'],
          exclude: mode === 'proofs' ? [] : PROOFS,
          env: { PROOFS: mode === 'proofs' ? 'yes' : 'no' },
          testTimeout: 120_000,
          hookTimeout: 60_000,
          // One at a time and after the others: these tests measure, and start encoders and browsers.
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'faults',
          setupFiles: SETUP,
          include: ['test/faults/**/*.test.ts'],
          globalSetup: ['test/faults/support/build.ts'],
          testTimeout: 60_000,
          hookTimeout: 30_000,
          // They measure memory and lateness, and keep a core busy.
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
    reporters: ['default', './test/support/closing-line-reporter.ts'],
  },
}));
