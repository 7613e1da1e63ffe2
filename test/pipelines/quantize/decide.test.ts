import { describe, expect, test } from 'vitest';
import { decide } from '../../../src/pipelines/quantize/decide.ts';
import type { DecideOptions, Decision } from '../../../src/pipelines/quantize/decision.ts';
import { integerGraph, strictIntegerGraph } from '../../../src/quantization/forms/integer-graph.ts';
import { weightsOnly } from '../../../src/quantization/forms/weights-only.ts';
import { parseRecipe } from '../../../src/quantization/recipe.ts';
import { graphOf } from '../../core.ts';
import { chain, collectorOf, decideOptions, useScriptedErrors } from './scripted.ts';

const recipeOf = (...rules: readonly object[]) => ({
  path: 'r.json',
  rules: parseRecipe(JSON.stringify(rules), 'r.json'),
});

/** What each node of a kind became. */
function chosen({ settings }: Decision, key: 'scheme' | 'range' | 'rounding' = 'scheme') {
  return Object.fromEntries([...settings].map(([node, each]) => [node.name, each[key]]));
}

/** An answer that is so many decibels from the float one. */
const atDb = (decibels: number) => 10 ** (-decibels / 20);

describe('what a node becomes', () => {
  const quiet = () => useScriptedErrors(() => 0);

  test('is what the form says where nobody else speaks', async () => {
    const { loaded } = quiet();
    const decision = await decide(chain(), decideOptions());
    expect(chosen(decision)).toEqual({ words: 'dynamic', l1: 'int8', l2: 'int8', l3: 'int8', head: 'float' });
    expect(decision).toMatchObject({ rounding: undefined, biasCorrection: undefined, warnings: [] });
    // Nothing stands out, so that nothing was run.
    expect(decision.scan).toEqual({ sites: [], togetherDb: undefined, restDb: undefined, keep: [] });
    expect(loaded).toEqual([]);
  });

  test('is what it was where it is to be kept', async () => {
    quiet();
    const decision = await decide(chain(), decideOptions({ keeps: ({ name }) => name === 'l2' || name === 'words' }));
    expect(chosen(decision)).toEqual({ words: 'float', l1: 'int8', l2: 'float', l3: 'int8', head: 'float' });
  });

  test('is what a recipe says, whatever is to be kept', async () => {
    quiet();
    const recipe = recipeOf({ match: 'l[12]', scheme: 'float' }, { match: '^l2$', scheme: 'dynamic' });
    const decision = await decide(chain(), decideOptions({ recipe, keeps: ({ name }) => name === 'l2' }));
    expect(chosen(decision)).toMatchObject({ l1: 'float', l2: 'dynamic', l3: 'int8' });
  });
});

describe('a recipe is refused', () => {
  const refused = async (rule: object, more: Partial<DecideOptions> = {}) => {
    useScriptedErrors(() => 0);
    return decide(chain(), decideOptions({ recipe: recipeOf({ match: 'l2', ...rule }), ...more }));
  };
  const request = decideOptions().request;
  const W4 = { form: weightsOnly, request: { ...request, scheme: 'w4' } } as const;

  test.each<[string, object, Partial<DecideOptions>, string]>([
    ['another kind of calibrated integers', { scheme: 'int16x8' }, {}, 'l2: is int16x8 in a file of --scheme int8'],
    ['calibrated integers in a file of none', { scheme: 'int8' }, W4, 'l2: is int8 in a file of --scheme w4'],
    ['blocks of 8 bits', { granularity: 'block' }, {}, 'l2: is int8 in blocks, which are for w4'],
  ])('%s', async (_, rule, more, message) => {
    await expect(refused(rule, more)).rejects.toMatchObject({ code: 'MISMATCH', message: `r.json: ${message}` });
  });

  test.each<[string, object, Partial<DecideOptions>]>([
    ['blocks of 4 bits', { granularity: 'block', scheme: 'w4' }, {}],
    ['blocks of what stays float', { granularity: 'block', scheme: 'float' }, {}],
    ['weights of 8 bits', { scheme: 'w8' }, W4],
  ])('but not for %s', async (_, rule, more) => {
    expect(chosen(await refused(rule, more))).toHaveProperty('l2', (rule as { scheme: string }).scheme);
  });

  test('rounding with the samples in view, where there are none', async () => {
    const samples = { ...decideOptions().samples, calibration: [] };
    await expect(refused({ rounding: 'gptq' }, { samples })).rejects.toMatchObject({
      code: 'USAGE',
      message: 'r.json: l2: rounding gptq needs --calibrate FILE',
    });
    expect(chosen(await refused({ rounding: 'gptq', scheme: 'float' }, { samples }))).toHaveProperty('l2', 'float');
  });
});

test('what stays float is told of for targets that compute on integers only', async () => {
  useScriptedErrors(() => 0);
  const graph = () =>
    graphOf(`graph g (input_ids: i64[1, 4])
  words = gather(table f32[200, 16] #1, input_ids)
  one = gelu(words)
  two = gelu(one)
  norm = layerNorm(two, g f32[16] #2, h f32[16] #3)
  l1 = linear(norm, w f32[16, 16] #4)
return logits: l1`);
  const warned = async (form: DecideOptions['form']) => (await decide(graph(), decideOptions({ form }))).warnings;
  expect(await warned(strictIntegerGraph)).toEqual([
    'g: 1 layerNorm stay float: run --passes layer-norm-to-no-norm for integers only',
    'g: 2 gelu stay float: run --passes gelu-to-relu for integers only',
  ]);
  expect(await warned(integerGraph)).toEqual([]);
});

describe('a scan', () => {
  /** The values that l3 reads stand out, and cost this much on their own. */
  const peaks = { t2: 40 };
  const outlier = (error: number) =>
    useScriptedErrors(({ on }) => (on.includes(1) ? error : 0) + (on.includes(0) ? 0.01 : 0));

  test('keeps what is most of the noise in higher precision, and says what it was worth', async () => {
    outlier(0.1);
    const decision = await decide(chain(), decideOptions({ collect: collectorOf(peaks).collect }));
    expect(chosen(decision)).toMatchObject({ l1: 'int8', l2: 'int8', l3: 'float' });
    const [site] = decision.scan?.sites ?? [];
    expect(site).toMatchObject({ name: 'l3', peak: 40, kept: true, sqnrDb: expect.closeTo(20, 4) });
    expect(decision.scan?.restDb).toBeCloseTo(40, 4);
  });

  test('leaves what does nothing to the answers', async () => {
    outlier(0.001);
    const decision = await decide(chain(), decideOptions({ collect: collectorOf(peaks).collect }));
    expect(chosen(decision)).toMatchObject({ l3: 'int8' });
    expect(decision.scan?.sites).toEqual([{ name: 'l3', peak: 40, sqnrDb: undefined, kept: false }]);
  });

  test('has nothing to say of a node of which a recipe does', async () => {
    outlier(0.1);
    const recipe = recipeOf({ match: 'head', scheme: 'int8' });
    const collect = collectorOf({ t3: 40 }).collect;
    const decision = await decide(chain(), decideOptions({ recipe, collect }));
    expect(decision.scan?.sites).toMatchObject([{ name: 'head', kept: true }]);
    expect(chosen(decision)).toMatchObject({ head: 'int8' });
    // A rule that leaves the scheme alone does not say this.
    const rounded = recipeOf({ match: 'l3', granularity: 'tensor' });
    const other = await decide(chain(), decideOptions({ recipe: rounded, collect: collectorOf(peaks).collect }));
    expect(chosen(other)).toMatchObject({ l3: 'float' });
  });

  test('is not made where none is wanted', async () => {
    const { loaded } = outlier(0.1);
    const decision = await decide(chain(), decideOptions({ scan: false, collect: collectorOf(peaks).collect }));
    expect(decision.scan).toBeUndefined();
    expect(chosen(decision)).toMatchObject({ l3: 'int8' });
    expect(loaded).toEqual([]);
  });

  test('fits weights that stay integers to what they read, where there are samples for it', async () => {
    const kept = async (more: Partial<DecideOptions>) => {
      useScriptedErrors(({ kind, on }) => (kind === 'switched' && on.includes(1) ? 0.1 : 0.001));
      const { collect } = collectorOf(peaks);
      const found = await decide(chain(), decideOptions({ collect, fallback: 'w8', ...more }));
      return found.rounding;
    };
    expect(await kept({ collectApart: { ...collectorOf(), count: 16 } })).toMatchObject({ samples: 10 });
    expect(await kept({ collectApart: { ...collectorOf(), count: 15 } })).toBeUndefined();
    expect(await kept({ fallback: 'dynamic' })).toBeUndefined();
  });
});

describe('ranges that clip', () => {
  const request = { ...decideOptions().request, range: 'percentile' } as const;

  /** The answers with clipped ranges first, with whole ones next. */
  async function guarded(clippedDb: number, wholeDb: number, more: Partial<DecideOptions> = {}) {
    const fake = useScriptedErrors(({ place }) => atDb(place === 0 ? clippedDb : wholeDb));
    const decision = await decide(chain(), decideOptions({ request, scan: false, ...more }));
    return { decision, fake };
  }

  test('stay where they lose no more than half a decibel', async () => {
    const { decision } = await guarded(30, 30.4);
    expect(chosen(decision, 'range')).toMatchObject({ l1: 'percentile', l3: 'percentile' });
    expect(decision.warnings).toEqual([]);
  });

  test('give way to whole ones where they lose more, and both numbers are said', async () => {
    const { decision } = await guarded(30, 30.6);
    expect(chosen(decision, 'range')).toMatchObject({ l1: 'minmax', l2: 'minmax', l3: 'minmax' });
    expect(decision.warnings).toEqual([
      '--range percentile: gives 30.0 dB on held-out samples, minmax 30.6 dB: minmax is used',
    ]);
  });

  test('that a recipe asks for must stand the trial as well', async () => {
    const recipe = recipeOf({ match: 'l2', range: 'mse' }, { match: 'l3', range: 'entropy' });
    const { decision } = await guarded(10, 30, { recipe, request: { ...request, range: 'minmax' } });
    expect(chosen(decision, 'range')).toMatchObject({ l1: 'minmax', l2: 'minmax', l3: 'minmax' });
    expect(decision.warnings).toEqual([expect.stringContaining('--range mse, entropy: gives 10.0 dB')]);
  });

  test('of nothing that computes on integers are not tried', async () => {
    const { fake } = await guarded(10, 30, { recipe: recipeOf({ match: '^l', scheme: 'float' }) });
    expect(fake.loaded).toEqual([]);
  });

  test('ask for histograms of what they clip', async () => {
    useScriptedErrors(() => 0.01);
    const { collect, asked } = collectorOf();
    const recipe = recipeOf({ match: 'l2', range: 'mse' });
    const plain = { ...request, range: 'minmax' } as const;
    await decide(chain(), decideOptions({ request: plain, recipe, collect, scan: false }));
    expect(asked[0]?.map(({ node, histogram }) => [node.name, histogram])).toEqual([
      ['first', false],
      ['t1', true],
      ['t2', false],
    ]);
  });
});

describe('what is fitted to samples', () => {
  const W4 = {
    form: weightsOnly,
    request: { ...decideOptions().request, scheme: 'w4', rounding: 'gptq' } as const,
  };

  /** Trials in the order in which they are made. */
  async function fitted(decibels: readonly number[], more: Partial<DecideOptions> = {}) {
    const fake = useScriptedErrors(({ place }) => atDb(decibels[place] ?? Number.NaN));
    const decision = await decide(chain(), decideOptions({ ...W4, ...more }));
    // The float model answers once for all of them.
    expect(fake.loaded).toHaveLength(decibels.length > 0 ? decibels.length + 1 : 0);
    expect(fake.open()).toBe(0);
    return decision;
  }

  test('is used where held-out samples are better for it', async () => {
    const decision = await fitted([21, 20]);
    expect(decision.rounding).toEqual({
      used: 'gptq',
      samples: 10,
      gptqDb: expect.closeTo(21, 4),
      nearestDb: expect.closeTo(20, 4),
    });
    expect(decision.warnings).toEqual([]);
    expect(chosen(decision, 'rounding')).toMatchObject({ l1: 'gptq', l3: 'gptq' });
  });

  test.each([20, 19])('is not where they are not: %i dB against 20', async (gptqDb) => {
    const decision = await fitted([gptqDb, 20]);
    expect(decision.rounding?.used).toBe('nearest');
    expect(chosen(decision, 'rounding')).toMatchObject({ l1: 'nearest', l3: 'nearest' });
    expect(decision.warnings).toEqual([]);
  });

  test('is spoken of where it was asked for', async () => {
    const { warnings } = await fitted([19, 20], { isRoundingAsked: true });
    expect(warnings).toEqual(['--rounding gptq: gives 19.0 dB on held-out samples, nearest 20.0 dB: nearest is used']);
  });

  test('is not tried with fewer than 16 samples that no trial runs on', async () => {
    const apart = (count: number) => ({ collectApart: { ...collectorOf(), count } });
    expect((await fitted([21, 20], apart(16))).rounding?.used).toBe('gptq');
    expect(await fitted([], apart(15))).toMatchObject({ rounding: undefined, warnings: [] });
    const asked = await fitted([], { ...apart(15), isRoundingAsked: true, biasCorrection: true });
    const problem = 'is not used, as 15 samples are left to fit to besides those that judge it';
    expect(asked.warnings).toEqual([
      `--rounding gptq: ${problem}: give --calibrate a file with more lines`,
      `--bias-correction: ${problem}: give --calibrate a file with more lines`,
    ]);
    expect(asked.means).toBeUndefined();
  });

  test('asks the samples apart for it, and no other', async () => {
    const [all, apart] = [collectorOf(), collectorOf()];
    await fitted([21, 20, 22], { collect: all.collect, collectApart: { ...apart, count: 32 }, biasCorrection: true });
    expect(all.asked).toEqual([]);
    expect(apart.asked.flat().map(({ node, gram, channels }) => [node.name, { gram, channels }])).toEqual([
      ['first', { gram: true }],
      ['t1', { gram: true }],
      ['t2', { gram: true }],
      ['first', { channels: true }],
      ['t1', { channels: true }],
      ['t2', { channels: true }],
    ]);
  });

  test('corrects biases where that is better than the better rounding', async () => {
    const better = await fitted([21, 20, 22], { biasCorrection: true });
    expect(better.biasCorrection).toEqual({
      used: true,
      samples: 10,
      correctedDb: expect.closeTo(22, 4),
      plainDb: expect.closeTo(21, 4),
    });
    expect([...(better.means?.keys() ?? [])]).toEqual(['first', 't1', 't2']);
    const worse = await fitted([21, 20, 20.5], { biasCorrection: true });
    expect(worse.biasCorrection).toMatchObject({ used: false, plainDb: expect.closeTo(21, 4) });
    expect(worse.means).toBeUndefined();
    expect(worse.warnings).toEqual([
      '--bias-correction: gives 20.5 dB on held-out samples, 21.0 dB without: biases stay as they are',
    ]);
  });

  test('measures biases against none where weights are rounded to the nearest', async () => {
    const request = { ...W4.request, rounding: 'nearest' } as const;
    const { biasCorrection, rounding } = await fitted([22, 21], { request, biasCorrection: true });
    expect(rounding).toBeUndefined();
    expect(biasCorrection).toMatchObject({
      used: true,
      correctedDb: expect.closeTo(22, 4),
      plainDb: expect.closeTo(21, 4),
    });
  });
});
