import { expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Call, Constant, Graph } from '../../src/ir/graph.ts';
import { readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import { weightsOnly } from '../../src/quantization/forms/weights-only.ts';
import type { Plan } from '../../src/quantization/plan.ts';
import { type WeightRounding, weightOptionsOf } from '../../src/quantization/plan-numbers.ts';
import { rebuild } from '../../src/quantization/rebuild.ts';
import { commonRows, realValues, rowErrorBytes, withRowErrors } from '../../src/quantization/row-errors.ts';
import type { Settings } from '../../src/quantization/settings.ts';
import { switchedGraph } from '../../src/quantization/switched-graph.ts';
import { blocksFor, targetNamed } from '../../src/quantization/targets.ts';
import { quantizeWeight, type WeightOptions } from '../../src/quantization/weights.ts';
import { graphOf } from '../core.ts';
import { expectAgreement } from '../exporters/onnx-lab.ts';

const ROWS = 128;
const WIDTH = 64;
const graph = graphOf(`graph g (input_ids: i64[batch, 4], token_type_ids: i64[batch, 4])
  words = gather(table f32[${ROWS}, ${WIDTH}] #1, input_ids)
  types = gather(kinds f32[${ROWS}, ${WIDTH}] #2, token_type_ids)
  y = add(words, types)
return y: y`);
const [words, types] = ['words', 'types'].map((name) => graph.nodes().find((node) => node.name === name)) as [
  Call,
  Call,
];
const FORM: WeightOptions = { dtype: 'u4', granularity: 'block', blockSize: 64 };

/** How often each id comes: 100 most often, then 3, 7 and 9; more often still one that the table does not have. */
function counts(): Float64Array {
  const counted = new Float64Array(ROWS + 2);
  for (const [id, count] of [
    [100, 9],
    [3, 5],
    [7, 4],
    [9, 4],
    [11, 2],
    [ROWS + 1, 20],
  ] as const) {
    counted[id] = count;
  }
  return counted;
}

test('the commonest tokens of the texts are chosen, one row in 32, of 4-bit word tables in blocks', () => {
  expect(commonRows(words, FORM, counts())).toEqual([100, 3, 7, 9]);
  expect(commonRows(words, FORM, new Float64Array(ROWS))).toBeUndefined();
  expect(commonRows(types, FORM, counts())).toBeUndefined();
  expect(commonRows(words, { ...FORM, dtype: 'i8' }, counts())).toBeUndefined();
  expect(commonRows(words, { ...FORM, granularity: 'channel' }, counts())).toBeUndefined();
});

function planned(hasTexts: boolean, tables: readonly Call[] = [words]): Plan {
  const blocks = blocksFor('onnx', targetNamed('ort', 'onnx'), hasTexts);
  const settings: Settings = { scheme: 'w4', granularity: 'block', rounding: 'nearest', range: 'minmax' };
  const request = { ...settings, scheme: 'w4', blocks, integerOutputs: false } as const;
  return weightsOnly.plan(graph, new Map(tables.map((table) => [table, settings])), request);
}

test('with texts, blocks of a word table are longer, as only rare rows depend on them, and of no other', () => {
  const blockOf = (hasTexts: boolean, table: Call) =>
    weightOptionsOf(planned(hasTexts, [words, types]), new Map(), table, table.inputs[0] as Constant)?.blockSize;
  expect([blockOf(false, words), blockOf(true, words)]).toEqual([32, 64]);
  expect([blockOf(false, types), blockOf(true, types)]).toEqual([32, 32]);
});

const roundWeight: WeightRounding = (node, { tensor }, options) => {
  const rows = commonRows(node, options, counts());
  const rounded = quantizeWeight(tensor, options);
  return rows ? withRowErrors(tensor, rounded, options, rows) : rounded;
};

/** What comes of rows 100, 3, 9 and 50, of which the last has no error stored. */
function outputsOf(of: Graph): Float32Array[] {
  const ids = (values: readonly number[]) => tensorOf('i64', [1, 4], BigInt64Array.from(values, BigInt));
  const feeds = new Map([
    ['input_ids', ids([100, 3, 9, 50])],
    ['token_type_ids', ids([0, 0, 0, 0])],
    ['switches', tensorOf('f32', [1], new Float32Array(1))],
  ]);
  const values = readF32(evaluate(of, new Map([...feeds].slice(0, of.inputs.length))).get('y') as Tensor);
  return Array.from({ length: 4 }, (_, i) => values.slice(i * WIDTH, (i + 1) * WIDTH));
}

test('rows whose errors are stored have 8 bits in effect, and others 4', async () => {
  const plan = planned(true);
  const made = rebuild(plan, { quants: new Map(), roundWeight });
  verifyGraph(made, 'test');
  const real = outputsOf(graph);
  const largest = outputsOf(made).map((row, i) =>
    Math.max(...row.map((value, k) => Math.abs(value - ((real[i] as Float32Array)[k] as number)))),
  );
  const [first = 1, second = 1, third = 1, rare = 0] = largest;
  for (const common of [first, second, third]) expect(common).toBeLessThan(rare / 8);
  await expectAgreement(made, { batch: 2 }, { operators: 'onnxruntime', opset: 21 }, 2 ** -10);
});

test('what measures a plan computes what its file will', () => {
  const plan = planned(true);
  const switched = switchedGraph(plan, { quants: new Map(), roundWeight, groups: 1, groupOf: () => 0 });
  const made = outputsOf(rebuild(plan, { quants: new Map(), roundWeight }));
  for (const [i, row] of outputsOf(switched).entries()) {
    for (const [k, value] of row.entries()) expect(value).toBeCloseTo((made[i] as Float32Array)[k] as number, 5);
  }
  const table = (words.inputs[0] as Constant).tensor;
  const rounded = withRowErrors(table, quantizeWeight(table, FORM), FORM, [50]);
  const values = realValues(rounded);
  const wanted = readF32(table);
  const worst = (row: number) =>
    Math.max(
      ...values.slice(row * WIDTH, (row + 1) * WIDTH).map((v, k) => Math.abs(v - (wanted[row * WIDTH + k] as number))),
    );
  expect(worst(50)).toBeLessThan(worst(51) / 8);
});

test('their bytes are told beforehand', async () => {
  const bytesOf = async (each: WeightRounding | undefined) => {
    const made = rebuild(planned(true), { quants: new Map(), ...(each && { roundWeight: each }) });
    return made.nodes().reduce((sum, node) => (node.op === 'constant' ? sum + storedBytes(node) : sum), 0);
  };
  expect((await bytesOf(roundWeight)) - (await bytesOf(undefined))).toBe(rowErrorBytes([ROWS, WIDTH], 4, 64));
});

/** Bytes of a constant with scales as halves and zero points of 4 bits. */
function storedBytes({ tensor, type: { quant } }: Constant): number {
  const blocks = quant?.per === 'block' ? quant.scales.length : 0;
  return tensor.bytes().length + 2.5 * blocks;
}
