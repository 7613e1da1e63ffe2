import { defineConfig } from 'vitest/config';

/** Where a run's counts go as JSON, beside the usual report. */
const report = process.env['MBERT_TEST_REPORT'];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // Vitest leaves one core free, which on two is half of the machine.
    maxWorkers: '100%',
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
  },
});
