import { defineConfig } from 'vitest/config';

/** The tests of the numeric core alone: each mistake is judged by those that stand beside it. */
export default defineConfig({
  test: { include: ['test/{solve,metrics,quantization,calibration,gradient}/**/*.test.ts'], testTimeout: 60_000 },
});
