import { describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../../src/formats/checkpoint.ts';
import type { JsonValue } from '../../../src/formats/json.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { runPasses } from '../../../src/ir/pass.ts';
import { buildModel } from '../../../src/models/index.ts';
import { selectPasses } from '../../../src/passes/index.ts';
import { raise } from '../../../src/passes/raise/raise.ts';
import { openCheckpoint } from '../../models/corpus.ts';
import { CASES, openCase } from './cases.ts';

type Counts = { readonly [op: string]: number };

/** Where the counts of an export differ from those of the graph that is built from a checkpoint of the same config. */
interface Row {
  readonly name: string;
  readonly like: 'qa' | 'mini-qa' | 'layer-norm-seqcls' | 'bert-seqcls' | 'albert' | 'electra' | 'roberta';
  /** Exports are for one sequence of a fixed length, but for one. */
  readonly isDynamic?: boolean;
  readonly before: Counts;
  readonly after: Counts;
  readonly why: string;
}

/** The position table is cut already, and has no axis to lose. */
const CUT = { before: { slice: -1 }, after: { reshape: -1 } };
const CUT_WHY = 'the position table is cut to the length';
/** Of the norms that only one dense reads or writes, TFLite's converter folds what it can. */
const FOLDED_WHY = `${CUT_WHY}; the converter has folded norms into the dense layers around them`;

const ROWS: readonly Row[] = [
  { name: 'tflite-qa-float32', like: 'qa', before: { ...CUT.before, noNorm: -7 }, after: CUT.after, why: FOLDED_WHY },
  { name: 'tflite-qa-float16', like: 'qa', before: { ...CUT.before, noNorm: -7 }, after: CUT.after, why: FOLDED_WHY },
  {
    name: 'tflite-qa-dynamic',
    like: 'qa',
    before: { ...CUT.before, noNorm: -7, dequantize: 1 },
    after: { ...CUT.after, dequantize: 1 },
    why: `${FOLDED_WHY}; the looked-up words are dequantized`,
  },
  {
    name: 'mini-tflite-qa',
    like: 'mini-qa',
    before: { ...CUT.before, noNorm: -10 },
    after: CUT.after,
    why: FOLDED_WHY,
  },
  { name: 'tflite-seqcls-ln-float32', like: 'layer-norm-seqcls', ...CUT, why: CUT_WHY },
  { name: 'tfjs-qa', like: 'qa', ...CUT, why: CUT_WHY },
  { name: 'tfjs-qa-float16', like: 'qa', ...CUT, why: CUT_WHY },
  { name: 'tfjs-qa-uint16', like: 'qa', ...CUT, why: CUT_WHY },
  { name: 'tfjs-qa-uint8', like: 'qa', ...CUT, why: CUT_WHY },
  { name: 'mini-tfjs-qa', like: 'mini-qa', ...CUT, why: CUT_WHY },
  { name: 'tfjs-seqcls-ln', like: 'layer-norm-seqcls', ...CUT, why: CUT_WHY },
  { name: 'savedmodel-qa', like: 'qa', ...CUT, why: CUT_WHY },
  { name: 'graphdef-qa', like: 'qa', ...CUT, why: CUT_WHY },
  { name: 'savedmodel-qa-hf', like: 'qa', isDynamic: true, before: {}, after: {}, why: '' },
  { name: 'savedmodel-albert-seqcls', like: 'albert', isDynamic: true, before: {}, after: {}, why: '' },
  { name: 'tflite-electra-seqcls', like: 'electra', isDynamic: true, before: {}, after: {}, why: '' },
  {
    name: 'tfjs-roberta-seqcls',
    like: 'roberta',
    isDynamic: true,
    before: { expand: 1, gather: 1, slice: -1 },
    after: { add: 1, expand: 1, gather: 1 },
    why: 'the one token type is looked up for every token',
  },
  {
    name: 'savedmodel-tf1-seqcls',
    like: 'bert-seqcls',
    isDynamic: true,
    before: { reshape: 2, slice: -1 },
    after: { linear: -1, reshape: 1, transpose: 2 },
    why: `${CUT_WHY}; tokens are flat between attentions, so that the last layer is computed for all of them`,
  },
];

/** Integer kernels are left as they are: there the norms stay what they were quantized as. */
const QUANTIZED = ['tflite-qa-int8', 'tflite-qa-int16x8'];

/** The TensorFlow fixtures have two layers; no torch fixture has as few. */
async function shortened(name: string, config: { readonly [key: string]: JsonValue } = {}): Promise<Checkpoint> {
  const checkpoint = await openCheckpoint(name);
  const all = { num_hidden_layers: 2, ...config };
  const layerOf = (tensor: string) => Number(/layer\.(\d+)\./.exec(tensor)?.[1] ?? 0);
  const tensors = [...checkpoint.tensors].filter(([tensor]) => layerOf(tensor) < Number(all.num_hidden_layers));
  return { ...checkpoint, tensors: new Map(tensors), config: new Map([...checkpoint.config, ...Object.entries(all)]) };
}

async function reference({ like, isDynamic = false }: Row): Promise<Graph> {
  const checkpoint = await {
    qa: () => shortened('hf-qa'),
    'mini-qa': () => openCheckpoint('mini-qa'),
    albert: () => shortened('family-albert-seqcls'),
    electra: () => shortened('family-electra-seqcls'),
    roberta: () => shortened('family-xlmr-seqcls'),
    'bert-seqcls': () => shortened('bert-seqcls', { num_hidden_layers: 1 }),
    'layer-norm-seqcls': () => shortened('hf-seqcls', { normalization_type: 'layer_norm', hidden_act: 'gelu' }),
  }[like]();
  const sizes = isDynamic
    ? ({ batch: 'batch', sequenceLength: 'sequence' } as const)
    : ({ batch: 1, sequenceLength: 32 } as const);
  return buildModel(checkpoint, { ...sizes, indexType: 'i32' }).graph;
}

function countsOf(graph: Graph): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { op } of graph.nodes()) if (op !== 'constant') counts.set(op, (counts.get(op) ?? 0) + 1);
  return counts;
}

function difference(graph: Graph, other: Graph): Counts {
  const [found, wanted] = [countsOf(graph), countsOf(other)];
  const ops = [...new Set([...found.keys(), ...wanted.keys()])].sort();
  const rows = ops.map((op) => [op, (found.get(op) ?? 0) - (wanted.get(op) ?? 0)] as const);
  return Object.fromEntries(rows.filter(([, count]) => count !== 0));
}

describe.each(ROWS)('$name', (row) => {
  test(`has the ops of a checkpoint when raised, and after the default passes`, async () => {
    const graph = await openCase(row.name);
    const built = await reference(row);
    await raise(graph);
    expect.soft(difference(graph, built), 'raised').toEqual(row.before);
    for (const each of [graph, built]) await runPasses(each, selectPasses(undefined, 'onnx'));
    expect.soft(difference(graph, built), 'after the passes').toEqual(row.after);
    expect(countsOf(graph).get('noNorm') ?? 0).toBe(0);
  });
});

test('every fixture has a row', () => {
  expect([...ROWS.map(({ name }) => name), ...QUANTIZED].sort()).toEqual(CASES);
});
