// Puts small mistakes into the numeric core, one at a time, and asks the tests beside it: npm install && npm test [files].
import { fileURLToPath } from 'node:url';
import { Stryker } from '@stryker-mutator/core';

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
const files = process.argv.slice(2);

await new Stryker({
  mutate:
    files.length > 0
      ? files
      : [
          'src/{solve,metrics}/*.ts',
          'src/quantization/{bias,compensation,qparams,ranges,rounding,sensitivity,weights}.ts',
          'src/calibration/{gram,histogram,layout,statistics}.ts',
          'src/gradient/rules.ts',
        ],
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: 'conformance/mutation/vitest.config.js', related: false },
  // Stryker would read tsconfig.json through an API that TypeScript 7 does not have.
  tsconfigFile: 'none',
  ignorePatterns: ['docs', 'dist', 'fixtures', 'conformance/*/node_modules'],
  tempDirName: '.tmp/stryker',
  reporters: ['clear-text', 'json'],
  jsonReporter: { fileName: '.tmp/mutation.json' },
  concurrency: 2,
  timeoutMS: 20_000,
}).runMutationTest();
