import { expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { keepNothing, type PassObserver, runPasses } from '../../src/ir/pass.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { graphText } from '../../src/ir/text.ts';
import { passes, selectPasses } from '../../src/passes/index.ts';
import { raisePasses } from '../../src/passes/raise/raise.ts';
import { graphOf, randomTensor } from '../core.ts';
import { SAMPLE_GRAPHS } from './sample-graphs.ts';

const SIZES: { readonly [symbol: string]: number } = { batch: 2, sequence: 5 };

function outputsOf(graph: Graph): Float32Array[] {
  const feeds = new Map<string, Tensor>();
  graph.inputs.forEach((input, i) => {
    const shape = input.type.shape.map((dim) => (typeof dim === 'number' ? dim : (SIZES[dim] as number)));
    feeds.set(input.name, randomTensor({ dtype: input.type.dtype, shape }, 7 + i));
  });
  return graph.outputs.map(({ name }) => readF32(evaluate(graph, feeds).get(name) as Tensor));
}

/** f32 rounds each folded weight once or twice; the samples' values are of the order of 1. */
const TOLERANCE = { bits: 0, values: 2e-5 } as const;

const exact = passes.map(({ pass }) => pass).filter(({ keeps }) => keeps !== 'shapes');
const rows = [
  ...exact.map((pass) => ({ name: pass.name, run: [pass], keeps: pass.keeps })),
  { name: 'all for onnx', run: selectPasses(undefined, 'onnx'), keeps: 'values' as const },
  { name: 'all for tflite', run: selectPasses(undefined, 'tflite'), keeps: 'values' as const },
];

for (const [sample, text] of Object.entries(SAMPLE_GRAPHS)) {
  test.each(rows)(`$name keeps the $keeps of ${sample}`, async ({ run, keeps }) => {
    const before = outputsOf(graphOf(text));
    const graph = graphOf(text);
    await runPasses(graph, run);
    const now = outputsOf(graph);
    expect(now.length).toBe(before.length);
    before.forEach((values, i) => {
      const worst = values.reduce(
        (most, value, at) => Math.max(most, Math.abs(value - (now[i]?.[at] ?? Number.NaN))),
        0,
      );
      expect(worst).toBeLessThanOrEqual(TOLERANCE[keeps as 'bits' | 'values']);
    });
  });
}

test.each(Object.entries(SAMPLE_GRAPHS))('what reports no rewrite leaves the text of %s as it was', async (_, text) => {
  const graph = graphOf(text);
  let before = '';
  const wrong: string[] = [];
  const observer: PassObserver = {
    starts: (each) => {
      before = graphText(each);
    },
    after(each, pass, { rewrites }) {
      const now = graphText(each);
      if (rewrites > 0 !== (now !== before)) wrong.push(`${pass}: ${rewrites}`);
      before = now;
    },
  };
  await runPasses(graph, [...raisePasses, ...exact], { ...keepNothing, observers: [observer] });
  expect(wrong).toEqual([]);
});
