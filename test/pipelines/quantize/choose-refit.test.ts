import { expect, test } from 'vitest';
import { tensorOf } from '../../../src/ir/tensor.ts';
import { chooseRefit } from '../../../src/pipelines/quantize/choose-refit.ts';
import { CompensatedWeights } from '../../../src/pipelines/quantize/compensated-weights.ts';
import type { DecideOptions } from '../../../src/pipelines/quantize/decision.ts';
import type { RefittedLinears } from '../../../src/pipelines/quantize/refitted-linears.ts';
import { weightsOnly } from '../../../src/quantization/forms/weights-only.ts';
import type { Plan } from '../../../src/quantization/plan.ts';
import { isCall } from '../../../src/quantization/plan.ts';
import type { Settings } from '../../../src/quantization/settings.ts';
import { graphOf } from '../../core.ts';
import { chain, collectorOf, decideOptions, useScriptedErrors } from './scripted.ts';

const W4: Settings = { scheme: 'w4', granularity: 'channel', rounding: 'nearest', range: 'minmax' };

const SAMPLES = decideOptions().samples;

/** What is kept where fitted linears spoil answers by the first error and plain ones by the second. */
async function chosen(
  errors: readonly [number, number],
  more: Partial<DecideOptions> = {},
  graph = chain(),
  fits = ['l2'],
) {
  const fake = useScriptedErrors(({ place }) => errors[place] ?? Number.NaN);
  const plan: Plan = weightsOnly.plan(
    graph,
    new Map(graph.nodes().flatMap((node) => (isCall(node) && node.op === 'linear' ? [[node, W4]] : []))),
    decideOptions().request,
  );
  const linear = {
    weight: { tensor: tensorOf('i8', [16, 16], new Int8Array(256)), quant: { per: 'tensor', scale: 1, zeroPoint: 0 } },
    bias: tensorOf('f32', [16], new Float32Array(16)),
  } as const;
  const fitted: RefittedLinears = new Map(fits.map((name) => [name, linear]));
  const asked: number[] = [];
  const { collect } = collectorOf();
  const calibrated = {
    statistics: new Map(),
    weights: new CompensatedWeights(collect),
    means: undefined,
    tokenCounts: undefined,
    refitted: undefined,
  };
  const result = await chooseRefit(
    plan,
    calibrated,
    decideOptions({ refits: true, ...more }),
    async (_, __, { rows }) => {
      asked.push(rows.length);
      return fitted;
    },
  );
  return { ...result, asked, fitted, loaded: fake.loaded.length };
}

test('fitted linears are kept where held-out texts are better for them', async () => {
  const result = await chosen([0.01, 0.1]);
  const { refit, refitted, fitted, asked } = result;
  expect(refit).toEqual({ used: true, samples: 10, fittedDb: expect.closeTo(40, 1), plainDb: expect.closeTo(20, 1) });
  expect(refitted).toBe(fitted);
  expect(result.refitWarnings).toEqual([]);
  expect(asked).toEqual([32]);
});

test('they are left where held-out texts are no better for them, with a warning', async () => {
  const { refit, refitted, refitWarnings } = await chosen([0.1, 0.1]);
  expect(refit).toMatchObject({ used: false });
  expect(refitted).toBeUndefined();
  expect(refitWarnings).toEqual([
    '--refit: gives 20.0 dB on held-out samples, 20.0 dB without: linears stay as they are',
  ]);
});

test.each([
  ['where it is not asked for', { refits: false }, chain(), []],
  [
    'on fewer texts than say how channels vary',
    { samples: { ...SAMPLES, calibration: SAMPLES.calibration.slice(0, 15) } },
    chain(),
    [expect.stringMatching(/^--refit: is not used, as \d+ samples are left to fit to .*: give --calibrate a file/)],
  ],
  [
    'on texts that judge',
    { samples: { ...SAMPLES, validation: SAMPLES.calibration } },
    chain(),
    [expect.stringContaining('--refit: is not used, as 0 samples are left')],
  ],
  [
    'of a model that takes several sequences for one answer',
    {},
    graphOf(`graph g (input_ids: i64[1, 2, sequence])
  words = gather(table f32[200, 4] #1, input_ids)
return logits: words`),
    ['--refit: is not used, as the model reads several sequences for one answer'],
  ],
  [
    'to texts of more values than may be held',
    {},
    graphOf(`graph g (input_ids: i64[1, 1000000])
  words = gather(table f32[200, 64] #1, input_ids)
  l1 = linear(words, w1 f32[16, 64] #2)
return logits: l1`),
    [expect.stringMatching(/^--refit: is not used, as what one linear reads of a single text .*: take shorter texts/)],
  ],
])('nothing is fitted %s', async (_, more, graph, refitWarnings) => {
  const { refit, refitted, asked, loaded, ...chosenRefit } = await chosen([0.01, 0.1], more, graph);
  expect({ refit, refitted, asked, loaded }).toEqual({ refit: undefined, refitted: undefined, asked: [], loaded: 0 });
  expect(chosenRefit.refitWarnings).toEqual(refitWarnings);
});

test('nothing is compared where no linear can be fitted', async () => {
  const { refit, refitted, loaded, refitWarnings } = await chosen([0.01, 0.1], {}, chain(), []);
  expect({ refit, refitted, loaded }).toEqual({ refit: undefined, refitted: undefined, loaded: 0 });
  expect(refitWarnings).toEqual([expect.stringContaining('--refit: is not used, as no linear can be fitted')]);
});
