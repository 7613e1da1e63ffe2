import { describe, expect, test } from 'vitest';
import { evaluate } from '../../../src/ir/evaluate.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { readF32, type Tensor } from '../../../src/ir/tensor.ts';
import { refitLinears, textsToFit } from '../../../src/pipelines/quantize/refitted-linears.ts';
import { isCall, type Plan } from '../../../src/quantization/plan.ts';
import { rebuild } from '../../../src/quantization/rebuild.ts';
import type { Settings } from '../../../src/quantization/settings.ts';
import { quantizeWeight } from '../../../src/quantization/weights.ts';
import { feedsOf, type TokenRow } from '../../../src/samples/feeds.ts';
import { graphOf, random } from '../../core.ts';

const W4: Settings = { scheme: 'w4', granularity: 'channel', rounding: 'gptq', range: 'minmax' };

/** A feed-forward part over a residual, and a linear with an activation of its own. */
const LAYER = `graph g (input_ids: i64[batch, sequence])
  words = gather(table f32[97, 32] #1, input_ids)
  up = linear(words, up.w f32[64, 32] #2, up.b f32[64] #3)
  active = gelu(up)
  down = linear(active, down.w f32[32, 64] #4)
  sum = add(down, words)
  last = linear(sum, last.w f32[32, 32] #5, last.b f32[32] #6) {activation: "relu"}
  end = linear(last, end.w f32[32, 32] #7, end.b f32[32] #8)
return y: end`;

function planOf(graph: Graph): Plan {
  const settings = new Map(
    graph
      .nodes()
      .flatMap((node) => (isCall(node) && (node.op === 'linear' || node.op === 'gather') ? [[node, W4]] : [])),
  );
  return { graph, settings, integer: new Set(), stored: new Map(), copies: new Map(), storedFor: new Map() };
}

const next = random(11);
const rowsOf = (count: number): TokenRow[] =>
  Array.from({ length: count }, (_, i) => {
    const inputIds = Array.from({ length: 5 + (i % 3) }, () => Math.floor(next() * 97));
    return { inputIds, tokenTypeIds: inputIds.map(() => 0) };
  });
const ROWS = rowsOf(120);
const OTHERS = rowsOf(40);

const run = { rows: ROWS, pad: 0, progress: () => {} };
const choices = { quants: new Map() };

/** Mean squared error of the answers to texts, as a share of the answers' own square. */
function errorOf(float: Graph, rounded: Graph, rows: readonly TokenRow[]): number {
  let noise = 0;
  let signal = 0;
  for (const row of rows) {
    const feeds = feedsOf([row], { dtype: 'i64', shape: [1, row.inputIds.length], pad: 0 });
    const answer = (graph: Graph) => readF32(evaluate(graph, feeds).get('y') as Tensor);
    const actual = answer(rounded);
    for (const [i, value] of answer(float).entries()) {
      noise += (value - (actual[i] as number)) ** 2;
      signal += value * value;
    }
  }
  return noise / signal;
}

describe('linears that are fitted behind rounded ones', () => {
  test('make up for their errors on other texts as well', async () => {
    const plan = planOf(graphOf(LAYER));
    const done: string[] = [];
    const progress = (at: number, of: number) => done.push(`${at}/${of}`);
    const refitted = await refitLinears(plan, choices, { ...run, progress });
    expect([...refitted.keys()]).toEqual(['up', 'down', 'last', 'end']);
    expect(done).toEqual(['1/4', '2/4', '3/4', '4/4']);
    const fitted = rebuild(plan, {
      ...choices,
      roundWeight: ({ name }, { tensor }, options) => refitted.get(name)?.weight ?? quantizeWeight(tensor, options),
      biasOf: ({ name }) => refitted.get(name)?.bias,
    });
    const plain = errorOf(plan.graph, rebuild(plan, choices), OTHERS);
    expect(errorOf(plan.graph, fitted, OTHERS)).toBeLessThan(0.6 * plain);
    // A linear without a bias gets one.
    expect(fitted.nodes().find(({ name }) => name === 'down')?.inputs[2]?.name).toBe('down.bias');
  });

  test('leave the graph and what it says of its weights as they were, and come out the same twice', async () => {
    const plan = planOf(graphOf(LAYER));
    const before = errorOf(graphOf(LAYER), plan.graph, OTHERS);
    const [first, again] = [await refitLinears(plan, choices, run), await refitLinears(plan, choices, run)];
    expect(before).toBe(0);
    expect(errorOf(graphOf(LAYER), plan.graph, OTHERS)).toBe(0);
    for (const [name, { weight, bias }] of first) {
      expect(readF32(again.get(name)?.weight.tensor as Tensor)).toEqual(readF32(weight.tensor));
      expect(readF32(again.get(name)?.bias as Tensor)).toEqual(readF32(bias));
    }
  });

  test('are none where a single text has more values than may be held', async () => {
    const plan = planOf(graphOf(LAYER.replace('[batch, sequence]', '[1, 500000]')));
    expect(await refitLinears(plan, choices, run)).toEqual(new Map());
  });

  test('are fitted to the texts behind one that is too long', () => {
    const long = { inputIds: new Array(500_000).fill(1), tokenTypeIds: [] };
    const texts = textsToFit(graphOf(LAYER), [long, ...ROWS]);
    expect(texts).not.toContain(long);
    expect(texts.slice(0, ROWS.length)).toEqual(ROWS);
  });

  test('are none that share a weight, stay float, or read more than the widest', async () => {
    const shared = graphOf(`graph g (input_ids: i64[batch, sequence])
  words = gather(table f32[97, 32] #1, input_ids)
  a = linear(words, same f32[32, 32] #2, a.b f32[32] #3)
  b = linear(a, same, b.b f32[32] #4)
  c = linear(b, wide f32[64, 32] #5)
  d = linear(c, own f32[32, 64] #6)
return y: d`);
    const plan = planOf(shared);
    expect([...(await refitLinears(plan, choices, run)).keys()]).toEqual(['c', 'd']);
    expect([...(await refitLinears(plan, choices, { ...run, maxWidth: 32 })).keys()]).toEqual(['c']);
    const settings = new Map(
      [...plan.settings].map(([node, own]) => [node, node.name === 'c' ? { ...own, scheme: 'float' as const } : own]),
    );
    expect([...(await refitLinears({ ...plan, settings }, choices, run)).keys()]).toEqual(['d']);
  });
});
