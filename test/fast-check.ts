import fc from 'fast-check';

/** Seed of a run that asks for none: what fails on one machine fails on every other. */
const SEED = 20261129;

/**
 * Every property is tried with the same inputs in each run, so that a change is judged by what it does and not by luck.
 * `MBERT_FUZZ_SEED=7 MBERT_FUZZ_RUNS=5000 npx vitest run test/formats` searches elsewhere.
 */
fc.configureGlobal({ seed: Number(process.env['MBERT_FUZZ_SEED'] ?? SEED) });

export { fc };
