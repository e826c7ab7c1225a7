import { defineConfig } from 'vitest/config';

// unit: pure and in-process, fast. interop: real programs (ffmpeg, GStreamer, Chromium) against a real gateway.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/interop/**', 'test/browser/**'],
          // No test waits for time, but property tests share slow machines with others.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'interop',
          include: ['test/interop/**/*.test.ts', 'test/browser/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          // One at a time and after the others: these tests measure, and start encoders and browsers.
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
    reporters: ['default', './test/support/closing-line-reporter.ts'],
  },
});
