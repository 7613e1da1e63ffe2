import { expect, test } from 'vitest';
import { NO_SAMPLES } from '../../../src/pipelines/evaluate/sample-sets.ts';
import type { Collect } from '../../../src/pipelines/quantize/calibration-runs.ts';
import { decide } from '../../../src/pipelines/quantize/decide.ts';
import { weightsOnly } from '../../../src/quantization/forms/weights-only.ts';
import { chain, decideOptions } from './scripted.ts';

/** Other texts in which these values reach 6, where calibration saw 2, and all others stay at 0. */
function reaching(...names: string[]): Collect {
  return async (_, requests) =>
    new Map(
      requests.map(({ node }) => {
        const isBeyond = names.includes(node.name);
        const counts = new Float64Array(64);
        counts[isBeyond ? 56 : 32] = 100;
        return [
          node.name,
          { rows: 100, min: 0, max: isBeyond ? 6 : 0, mean: 0, rms: 1, histogram: { limit: 8, counts } },
        ];
      }),
    );
}

const options = (more: Parameters<typeof decideOptions>[0]) => {
  const manifest = { source: 'texts.txt', sha256: '', count: 100, seed: null };
  const { samples } = decideOptions();
  return decideOptions({ scan: false, samples: { ...NO_SAMPLES, ...samples, manifest }, ...more });
};

test('calibration texts are too narrow where other texts leave more than half of the ranges', async () => {
  const warned = async (...names: string[]) =>
    (await decide(chain(4), options({ collectUnseen: { collect: reaching(...names), count: 16 } }))).warnings;
  expect(await warned('first', 't1')).toEqual([]);
  expect(await warned('first', 't1', 't2')).toEqual([
    'texts.txt: is too narrow: 16 other samples leave 3 of 4 calibrated ranges with 75.00 % of their values, first 3.0 ' +
      'times as far: calibrate on more lines, or on lines like those that the model will see (--calibrate, --samples)',
  ]);
});

test('nothing is looked for without other texts, or without calibrated ranges', async () => {
  const refuse: Collect = () => Promise.reject(new Error('asked'));
  const none = await decide(chain(), options({ collectUnseen: { collect: refuse, count: 0 } }));
  expect(none.warnings).toEqual([]);
  const dynamic = await decide(chain(), options({ form: weightsOnly, collectUnseen: { collect: refuse, count: 16 } }));
  expect(dynamic.warnings).toEqual([]);
});
