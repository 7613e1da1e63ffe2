import { describe, expect, test } from 'vitest';
import type { Graph } from '../../../src/ir/graph.ts';
import { runPasses } from '../../../src/ir/pass.ts';
import { buildModel } from '../../../src/models/index.ts';
import { selectPasses } from '../../../src/passes/index.ts';
import { raise } from '../../../src/passes/raise/raise.ts';
import { randomTensor } from '../../core.ts';
import { openCheckpoint } from '../../models/corpus.ts';
import { importFixture, ONNX_FIXTURES } from './fixtures.ts';

type Counts = { readonly [op: string]: number };

/** Where the counts of an export differ from those of the graph that is built from a checkpoint of the same config. */
interface Row {
  readonly name: string;
  readonly like: string;
  /** Static exports are for one sequence of 32 tokens. */
  readonly isStatic?: boolean;
  readonly before?: Counts;
  readonly after?: Counts;
  readonly why?: string;
}

/** The mask goes from whole numbers through yes and no to numbers again, and may be more than 0 and 1. */
const CAST = { cast: 1 };
const THROUGH_BOOL = 'the mask goes through bool';
/** The rows of the position table are cut out already. */
const STATIC = { isStatic: true, before: { slice: -1 } };
const CUT_TABLE = 'the position table is cut to the length';
const STATIC_BOOL = { isStatic: true, before: { ...CAST, slice: -1 }, after: CAST };

/** The reference's second output is a slice and a reshape of the first. */
const NO_POOLER = { before: { reshape: -1, slice: -1 }, after: { slice: -1 } };

const ROWS: readonly Row[] = [
  { name: 'mini-onnx-qa', like: 'mini-qa' },
  { name: 'onnx-qa-ts', like: 'hf-qa-sharded' },
  { name: 'onnx-qa-ts-nofold', like: 'hf-qa-sharded' },
  { name: 'onnx-qa-optimum', like: 'hf-qa-sharded' },
  { name: 'onnx-qa-slim', like: 'hf-qa-sharded' },
  { name: 'onnx-qa-external', like: 'hf-qa-sharded' },
  { name: 'onnx-qa-floatdata', like: 'hf-qa-sharded' },
  { name: 'onnx-qa-fp16', like: 'hf-qa-sharded' },
  { name: 'onnx-qa-ts-tf5', like: 'hf-qa-sharded', before: CAST, after: CAST, why: THROUGH_BOOL },
  { name: 'onnx-qa-dynamo', like: 'hf-qa-sharded', before: CAST, after: CAST, why: THROUGH_BOOL },
  { name: 'onnx-qa-dynamo-static', like: 'hf-qa-sharded', ...STATIC_BOOL, why: `${THROUGH_BOOL}; ${CUT_TABLE}` },
  { name: 'onnx-qa-dynamo-sdpa', like: 'hf-qa-sharded', ...STATIC_BOOL, why: `${THROUGH_BOOL}; ${CUT_TABLE}` },
  { name: 'onnx-qa-ts-static', like: 'hf-qa-sharded', ...STATIC, why: CUT_TABLE },
  {
    name: 'onnx-features-optimum',
    like: 'hf-features',
    ...NO_POOLER,
    why: 'optimum leaves out pooler_output',
  },
  {
    name: 'onnx-mlm-ts',
    like: 'hf-mlm-tied',
    before: { concat: -1, transpose: -1 },
    why: 'the decoder is one matrix already',
  },
  { name: 'onnx-seqcls-optimum', like: 'hf-seqcls' },
  { name: 'onnx-seqcls-ln-ts', like: 'layer-norm-seqcls' },
  { name: 'onnx-seqcls-ln-ts17', like: 'layer-norm-seqcls' },
  { name: 'onnx-seqcls-ln-opset23', like: 'layer-norm-seqcls' },
  { name: 'onnx-seqcls-ln-dynamo20', like: 'layer-norm-seqcls', before: CAST, after: CAST, why: THROUGH_BOOL },
];

/**
 * Files that another tool has quantized. A value is rounded between the steps of a norm, a bias or the trigram, and
 * taking these together would take the rounding away; so they stay as they are, and the file answers as its maker's
 * runtime does. ReLU is the lower end of the range that the quantizer gave its output.
 */
const QUANTIZED: readonly Row[] = [
  {
    name: 'onnx-qa-dynquant',
    like: 'hf-qa-sharded',
    before: { dynamicRound: 26 },
    after: { add: 12, dynamicRound: 26, mul: 12 },
  },
  {
    name: 'onnx-qa-qdq',
    like: 'hf-qa-sharded',
    isStatic: true,
    before: {
      add: 49,
      dequantize: 151,
      mul: 17,
      noNorm: -17,
      pad: 2,
      quantize: 151,
      relu: -8,
      shift: -2,
      slice: 1,
    },
    after: { add: 49, dequantize: 151, mul: 19, pad: 2, quantize: 151, shift: -2, slice: 2 },
  },
  {
    name: 'onnx-qa-qoperator',
    like: 'hf-qa-sharded',
    isStatic: true,
    before: { add: 49, dequantize: 2, mul: 17, noNorm: -17, quantize: 127, relu: -8, slice: -1 },
    after: { add: 49, dequantize: 2, mul: 19, quantize: 127 },
  },
];

async function reference(like: string, isStatic: boolean): Promise<Graph> {
  const checkpoint = await (like === 'layer-norm-seqcls' ? layerNormClassifier() : openCheckpoint(like));
  const shape = isStatic
    ? ({ batch: 1, sequenceLength: 32 } as const)
    : ({ batch: 'batch', sequenceLength: 'sequence' } as const);
  return buildModel(checkpoint, { ...shape, indexType: 'i64' }).graph;
}

/** No fixture is a classifier with LayerNorm, GELU and a pooler: a QA model of that kind gets another head. */
async function layerNormClassifier() {
  const { tensors, config, ...checkpoint } = await openCheckpoint('hf-qa-layernorm-gelu');
  const head = Object.entries({
    'mobilebert.pooler.dense.weight': [32, 32],
    'mobilebert.pooler.dense.bias': [32],
    'classifier.weight': [3, 32],
    'classifier.bias': [3],
  }).map(([name, shape]) => [name, randomTensor({ dtype: 'f32', shape }, 1)] as const);
  return {
    ...checkpoint,
    tensors: new Map([...tensors, ...head]),
    config: new Map([
      ...config,
      ['classifier_activation', true],
      ['architectures', ['MobileBertForSequenceClassification']],
    ]),
  };
}

function countsOf(graph: Graph, without: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { op } of graph.nodes()) if (!without.includes(op)) counts.set(op, (counts.get(op) ?? 0) + 1);
  return counts;
}

function difference(graph: Graph, other: Graph, without: readonly string[]): Counts {
  const [found, wanted] = [countsOf(graph, without), countsOf(other, without)];
  const ops = [...new Set([...found.keys(), ...wanted.keys()])].sort();
  const rows = ops.map((op) => [op, (found.get(op) ?? 0) - (wanted.get(op) ?? 0)] as const);
  return Object.fromEntries(rows.filter(([, count]) => count !== 0));
}

describe.each([...ROWS, ...QUANTIZED])('$name', ({ name, like, isStatic = false, before = {}, after = {} }) => {
  test(`has the ops of ${like} when raised, and after the default passes`, async () => {
    const { graph } = await importFixture(name);
    const built = await reference(like, isStatic);
    await raise(graph);
    expect(difference(graph, built, ['constant']), 'raised').toEqual(before);
    for (const each of [graph, built]) await runPasses(each, selectPasses(undefined, 'onnx'));
    // Where tokens are flattened depends on what stands between the linears.
    expect(difference(graph, built, ['constant', 'reshape']), 'after the passes').toEqual(after);
    expect(graph.nodes().filter(({ op }) => op === 'noNorm')).toEqual([]);
  });
});

test('every fixture has a row', () => {
  expect([...ROWS, ...QUANTIZED].map(({ name }) => name).sort()).toEqual(ONNX_FIXTURES);
});
