import { describe, expect, test } from 'vitest';
import type { Graph, Node } from '../../../src/ir/graph.ts';
import { readF32, readIntegers, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import type { BatchValues, TextMatrix, TextRuns } from '../../../src/ir/text-runs.ts';
import { evidenceOf } from '../../../src/options/evidence.ts';
import { passChoice } from '../../../src/options/passes.ts';
import { startRun } from '../../../src/options/run.ts';
import { geluToRelu } from '../../../src/passes/gelu-to-relu.ts';
import { NO_SAMPLES } from '../../../src/pipelines/evaluate/sample-sets.ts';
import { type FitJob, fitWithin } from '../../../src/pipelines/fit/candidates.ts';
import { rankSites } from '../../../src/pipelines/fit/sensitivity.ts';
import { graphOf } from '../../core.ts';
import { useFakeRuntime } from '../fake-runtime.ts';

const row = (id: number) => ({ inputIds: [id], tokenTypeIds: [0] });
const rows = (from: number, count: number) => Array.from({ length: count }, (_, i) => row(from + i));
const FEEDS = { task: 'sequence-classification', pad: 0, mask: undefined } as const;

/** Activations a1, a2, … behind each other, with no linear that could be fitted. */
function chain(count: number): Graph {
  const activations = Array.from({ length: count }, (_, i) => `  a${i + 1} = gelu(${i === 0 ? 'words' : `a${i}`})`);
  return graphOf(`graph chain (input_ids: i64[batch, sequence])
  words = gather(table f32[100, 2] #1, input_ids)
${activations.join('\n')}
  first = slice(a${count}) {axis: 1, end: 1}
  logits = reshape(first) {shape: [batch, 2]}
return logits: logits`);
}

/** Runs that find nothing but zeros. */
const runs = (onClose: () => void = () => {}) => {
  const nothing = ({ type }: Node): BatchValues => ({
    batches: [],
    rows: new Float32Array(type.shape.at(-1) as number),
  });
  const found = {
    compute: async (_: Graph, wanted: readonly Node[]) => new Map(wanted.map((node) => [node, nothing(node)])),
    matrixOf: ({ rows: values = new Float32Array() }: BatchValues): TextMatrix => {
      return { values, rows: 1, columns: values.length, sequence: new Int32Array(1), fitted: 1 };
    },
    close: async () => onClose(),
  };
  return found as unknown as TextRuns & { close(): Promise<void> };
};

/** The error of an answer: above 1 it is another class. */
const answerWith = (error: number) => new Map([['logits', tensorOf('f32', [1, 2], Float32Array.of(1, error))]]);

const COUNT = 6;

/**
 * Of 40 rows a model answers so many otherwise as `wrong` says of how many activations it keeps; a6 does most to the answers
 * on its own, a1 least.
 */
function useLosses(wrong: readonly number[]) {
  const tried: number[] = [];
  const fake = useFakeRuntime(({ graph }, feeds) => {
    const switched = [...feeds].flatMap(([name, tensor]) =>
      name.startsWith('switch_') && readF32(tensor)[0] === 1 ? [Number(name.slice(7))] : [],
    );
    if (graph.inputs.length > 1) return answerWith(0.1 * switched.reduce((sum, i) => sum + i + 1, 0));
    const kept = graph.nodes().filter(({ op }) => op === 'erf').length;
    if (kept === COUNT) return answerWith(0);
    if (tried.at(-1) !== kept) tried.push(kept);
    const [id = 0] = readIntegers(feeds.get('input_ids') as Tensor);
    return answerWith(id - 10 < (wrong[kept] as number) ? 2 : 0.001);
  });
  return { tried, fake };
}

async function fitted(maxDrop: number | undefined, keep?: RegExp) {
  const original = chain(COUNT);
  let closed = 0;
  const job: FitJob = {
    original,
    maxPositions: 8,
    maxLength: 8,
    passes: passChoice({ passes: 'gelu-to-relu', keep }),
    targets: ['onnx', 'tflite'],
    evidence: evidenceOf({ maxDrop }, 768),
    run: startRun({}),
    samples: { ...NO_SAMPLES, calibration: rows(60, 20), validation: rows(0, 10), proof: rows(10, 40) },
    feeds: FEEDS,
    fitted: [geluToRelu],
    runs: runs(),
    fewRuns: async () => runs(() => closed++),
  };
  const found = await fitWithin(chain(COUNT), job);
  return { ...found, closed };
}

describe('a fit', () => {
  test('replaces everything where nobody sets a limit, or that holds', async () => {
    const { tried } = useLosses([20, 0, 0, 0, 0, 0]);
    const { chosen, pareto, closed } = await fitted(undefined);
    expect(chosen.kept).toEqual([]);
    expect(chosen.passes).toEqual([{ name: 'gelu-to-relu', rewrites: COUNT, declined: [] }]);
    expect(chosen.heldOut).toMatchObject({ samples: 40, agreement: 0.5, drop: 50 });
    expect(chosen.operations.map(({ target, sequence }) => [target, sequence])).toEqual([
      ['onnx', 8],
      ['tflite', 8],
    ]);
    expect(chosen.operations[0]?.speedup).toBeGreaterThan(1);
    expect([pareto, tried, closed]).toEqual([undefined, [0], 0]);
    // 2 of 40 are five points, rounding aside.
    useLosses([2, 0, 0, 0, 0, 0]);
    expect((await fitted(5)).pareto).toBeUndefined();
  });

  test('keeps the fewest that make the limit hold, those that do most to the answers', async () => {
    const { tried, fake } = useLosses([20, 12, 8, 2, 0, 0]);
    const { chosen, pareto, closed } = await fitted(5);
    expect(chosen.kept).toEqual(['a6', 'a5', 'a4']);
    expect(chosen.heldOut?.drop).toBeCloseTo(5, 9);
    expect(pareto?.map(({ kept }) => kept)).toEqual(tried.toSorted((a, b) => a - b));
    expect(
      pareto?.filter((each) => each.chosen).map(({ kept, activations, norms }) => [kept, activations, norms]),
    ).toEqual([[3, 3, 0]]);
    expect([closed, fake.open()]).toEqual([1, 0]);
  });

  test('takes fewer that hold over more that lose less', async () => {
    const { tried } = useLosses([20, 12, 2, 1, 0, 0]);
    const { chosen } = await fitted(5);
    expect(tried.filter((kept) => kept > 2)).not.toEqual([]);
    expect(chosen.kept).toEqual(['a6', 'a5']);
  });

  test('that holds with nothing is the one that lost least', async () => {
    useLosses([20, 19, 18, 17, 6, 9]);
    const { chosen, pareto } = await fitted(5);
    const least = Math.min(...(pareto ?? []).map(({ heldOut }) => heldOut.drop));
    expect(chosen.heldOut?.drop).toBe(least);
    expect(pareto?.filter((each) => each.chosen)).toHaveLength(1);
  });

  test('leaves alone what is to be kept, and does not count it', async () => {
    useLosses([20, 20, 0, 0, 0, 0]);
    const { chosen } = await fitted(undefined, /a[12]/);
    expect(chosen.kept).toEqual([]);
    expect(chosen.passes[0]?.rewrites).toBe(COUNT - 2);
  });
});

test('norms and activations are ranked by what they do to the answers for what they save', async () => {
  const graph = graphOf(`graph g (input_ids: i64[1, sequence])
  words = gather(table f32[100, 8] #1, input_ids)
  wide = gelu(words)
  part = slice(wide) {axis: -1, end: 2}
  narrow = gelu(part)
  kept = gelu(narrow)
  first = slice(kept) {axis: 1, end: 1}
  logits = reshape(first) {shape: [1, 2]}
return logits: logits`);
  const told: string[] = [];
  useFakeRuntime((_, feeds) => {
    const isOn = (place: number) => readF32(feeds.get(`switch_${place}`) as Tensor)[0] === 1;
    return answerWith(isOn(0) ? 0.2 : isOn(1) ? 0.15 : 0);
  });
  const sites = await rankSites(graph, ({ op, name }) => op === 'gelu' && name !== 'kept', runs(), {
    ...FEEDS,
    rows: rows(0, 3),
    progress: (done, total) => told.push(`${done}/${total}`),
  });
  expect(sites.map(({ name, op, noise }) => [name, op, Math.round(1e4 * noise)])).toEqual([
    ['narrow', 'gelu', 225],
    ['wide', 'gelu', 400],
  ]);
  expect(told).toEqual(['1/2', '2/2']);
});
