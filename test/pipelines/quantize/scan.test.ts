import { describe, expect, test } from 'vitest';
import type { Call } from '../../../src/ir/graph.ts';
import { CompensatedWeights } from '../../../src/pipelines/quantize/compensated-weights.ts';
import { switchOptionsOf } from '../../../src/pipelines/quantize/decision.ts';
import { scanEverySite, scanOutliers } from '../../../src/pipelines/quantize/scan.ts';
import type { Plan } from '../../../src/quantization/plan.ts';
import type { Site } from '../../../src/quantization/sensitivity.ts';
import type { Settings } from '../../../src/quantization/settings.ts';
import { chain, collectorOf, decideOptions, useScriptedErrors } from './scripted.ts';

/** A plan of all linears of a chain, with statistics of what they read. */
async function planned(linears: number, peaks: { readonly [node: string]: number } = {}) {
  const options = decideOptions();
  const { collect } = collectorOf(peaks);
  const graph = chain(linears);
  const settings = new Map<Call, Settings>();
  for (const node of graph.nodes()) {
    if (node.op === 'linear' && node.name !== 'head') settings.set(node, { ...options.request, scheme: 'int8' });
  }
  const plan: Plan = options.form.plan(graph, settings, options.request);
  const statistics = await collect(
    graph,
    [...settings.keys()].map(({ inputs: [node] }) => ({ node: node as Call })),
  );
  const weights = new CompensatedWeights(collect);
  const known = { statistics, weights, means: undefined, tokenCounts: undefined, refitted: undefined };
  return { options: switchOptionsOf(plan, known, options), statistics };
}

/** Noise of the answers where these groups are on: their own errors add up. */
const adding = (errors: readonly number[]) => (on: readonly number[]) =>
  Math.sqrt(on.reduce((sum, group) => sum + (errors[group] as number) ** 2, 0));

describe('linears whose values stand out', () => {
  test('are looked at together first, and not on their own where that is nothing', async () => {
    const runs: string[] = [];
    useScriptedErrors(({ on }) => {
      runs.push(on.join());
      return adding([0.1, 0.001, 0.001])(on);
    });
    const { options, statistics } = await planned(4, { t1: 20, t3: 30 });
    const { sites, keep, togetherDb, restDb } = await scanOutliers(options, statistics, () => {});
    expect(sites).toEqual([
      { name: 'l4', peak: 30, sqnrDb: undefined, kept: false },
      { name: 'l2', peak: 20, sqnrDb: undefined, kept: false },
    ]);
    expect(keep).toEqual([]);
    expect(restDb).toBeCloseTo(20, 4);
    expect(togetherDb).toBeCloseTo(-10 * Math.log10(2e-6), 3);
    // Everything else on integers, nothing, and both; each once for every row.
    expect([...new Set(runs)]).toEqual(['0', '', '1,2']);
    expect(runs).toHaveLength(3 * options.rows.length);
  });

  test('are measured one by one where together they are a share of the noise', async () => {
    useScriptedErrors(({ on }) => adding([0.1, 0.2, 0.01])(on));
    const told: string[] = [];
    const { options, statistics } = await planned(4, { t1: 20, t3: 30 });
    const { sites, keep } = await scanOutliers(options, statistics, (done, total) => told.push(`${done}/${total}`));
    expect(sites).toEqual([
      { name: 'l4', peak: 30, sqnrDb: expect.closeTo(-20 * Math.log10(0.2), 3), kept: true },
      { name: 'l2', peak: 20, sqnrDb: expect.closeTo(40, 3), kept: false },
    ]);
    expect(keep.map(({ name }) => name)).toEqual(['l4']);
    expect(told).toEqual(['1/2', '2/2']);
  });
});

describe('every linear', () => {
  const free = () => 0;

  test('is kept in the order of what it brings, more and more of them', async () => {
    useScriptedErrors(({ on }) => adding([0, 0.1, 0.3, 0.2, 0.05])(on));
    const { options, statistics } = await planned(4);
    const { rows, order } = await scanEverySite(options, statistics, free, () => {});
    expect(order.map(({ name }) => name)).toEqual(['l2', 'l3', 'l1', 'l4']);
    expect(rows.map(({ kept }) => kept)).toEqual([0, 1, 2, 3, 4]);
    const left = [0.1425, 0.0525, 0.0125, 0.0025];
    for (const [i, noise] of left.entries()) expect(rows[i]?.sqnrDb).toBeCloseTo(-10 * Math.log10(noise), 3);
    expect(rows[4]?.sqnrDb).toBe(Number.POSITIVE_INFINITY);
  });

  test('counts by what it costs, where precision costs bytes', async () => {
    useScriptedErrors(({ on }) => adding([0, 0.1, 0.11, 0.12])(on));
    const { options, statistics } = await planned(3);
    const costOf = ({ floatBytes }: Site) => floatBytes;
    const { rows, order } = await scanEverySite(options, statistics, costOf, () => {});
    // l1 has a quarter of the others' bytes.
    expect(order.map(({ name }) => name)).toEqual(['l1', 'l3', 'l2']);
    expect(rows.map(({ addedBytes }) => addedBytes)).toEqual([0, 256, 256 + 1024, 256 + 2048]);
  });

  test('says how many answers stay the same', async () => {
    // Of ten rows, those below 4 change their class by l2, those below 1 by l1.
    useScriptedErrors(({ on }, id) => ((on.includes(2) && id < 4) || (on.includes(1) && id < 1) ? 2 : 0));
    const { options, statistics } = await planned(2);
    const { rows } = await scanEverySite(options, statistics, free, () => {});
    expect(rows.map(({ agreement }) => agreement)).toEqual([0.6, 0.9, 1]);
  });

  test.each([
    [1, [0, 1]],
    [2, [0, 1, 2]],
    [5, [0, 1, 2, 3, 5]],
    [9, [0, 1, 2, 3, 5, 8, 9]],
  ])('of %i makes so many rows that they can be measured', async (linears, kept) => {
    useScriptedErrors(() => 0.1);
    const { options, statistics } = await planned(linears);
    const { rows } = await scanEverySite(options, statistics, free, () => {});
    expect(rows.map((row) => row.kept)).toEqual(kept);
  });
});
