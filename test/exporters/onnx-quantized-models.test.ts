import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { minimumOpset } from '../../src/exporters/onnx.ts';
import { evaluate, evaluateNode } from '../../src/ir/evaluate.ts';
import type { Call, Constant, Graph, Node } from '../../src/ir/graph.ts';
import { runPasses } from '../../src/ir/pass.ts';
import { dequantized } from '../../src/ir/quantized.ts';
import { convertTensor, readF32, type Tensor } from '../../src/ir/tensor.ts';
import { constantBytes } from '../../src/ir/text.ts';
import { openModel } from '../../src/opened/open-model.ts';
import { selectPasses } from '../../src/passes/index.ts';
import { randomSequences } from '../../src/samples/token-sequences.ts';
import { optimized, runOnnx } from './onnx-lab.ts';
import {
  linearsOf,
  quantizeDynamic,
  quantizeRows,
  quantizeStatic,
  quantizeTables,
  roundDynamically,
} from './quantize-by-hand.ts';

const MODELS = [
  'hf-qa',
  'hf-seqcls',
  'hf-mlm-tied',
  'hf-pretraining',
  'hf-qa-layernorm-gelu',
  'hf-qa-nobottleneck',
  'hf-multiplechoice',
  'bert-seqcls',
  'distilbert-qa',
];
const BATCH = 2;
const SEQUENCE = 16;

const opened: { close(): void }[] = [];
afterEach(() => {
  for (const model of opened.splice(0)) model.close();
});

async function build(name: string): Promise<Graph> {
  const model = await openModel(fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url)));
  // Weights are read from the file when they are written.
  opened.push(model);
  const graph = model.build('onnx', { batch: 'dynamic', sequenceLength: 'dynamic' });
  await runPasses(graph, selectPasses(undefined, 'onnx'));
  return graph;
}

function feedsOf(graph: Graph): ReadonlyMap<string, Tensor>[] {
  const shape = graph.inputs[0]?.type.shape.length === 3 ? [BATCH, 2, SEQUENCE] : [BATCH, SEQUENCE];
  return [1, 2, 3].map((seed) => {
    const all = randomSequences({ shape, seed, vocabSize: 200, tokenTypes: 2 });
    return new Map(graph.inputs.map(({ name }) => [name, convertTensor(all.get(name) as Tensor, 'i64')]));
  });
}

function callsOf(graph: Graph): Call[] {
  return graph.nodes().filter((node): node is Call => node.op !== 'input' && node.op !== 'constant');
}

/** The largest difference that rounding may make between two computations of a node from the same inputs. */
function toleranceOf(node: Node, values: Float32Array): number {
  const { quant } = node.type;
  if (quant?.per === 'tensor') return 1.01 * quant.scale;
  const [least, most] = [Math.min(0, ...values), Math.max(0, ...values)];
  if (node.op === 'dynamicRound') return (1.01 * (most - least)) / 255;
  return 1e-4 * Math.max(1, most, -least);
}

/**
 * Runs the written model with every value as an output, and compares each with what the reference computes from the
 * runtime's own inputs to it: an error of one step stays where it is made, instead of spreading through the model.
 */
async function expectEachNodeToAgree(graph: Graph, feeds: ReadonlyMap<string, Tensor>, opset: number): Promise<void> {
  const calls = callsOf(graph);
  for (const node of calls) graph.output(`value of ${node.name}`, node);
  const results = await runOnnx(graph, feeds, { opset });
  const values = new Map<Node, Tensor>(graph.inputs.map((input) => [input, feeds.get(input.name) as Tensor]));
  for (const node of calls) {
    const stored = results.get(`value of ${node.name}`) as Tensor;
    values.set(node, node.type.quant ? dequantized(stored, node.type.quant) : stored);
  }
  const sizes = { batch: BATCH, sequence: SEQUENCE, choices: 2 };
  for (const node of calls) {
    const inputs = node.inputs.map((input) => values.get(input) ?? evaluateNode(input, [], sizes));
    const wanted = readF32(evaluateNode(node, inputs, sizes));
    const found = readF32(values.get(node) as Tensor);
    const worst = wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - (found[i] as number))), 0);
    expect(worst, `${node.name}: largest error`).toBeLessThanOrEqual(toleranceOf(node, wanted));
  }
}

/** 10 log10 of the reference's power over the error's, over all outputs for all feeds. */
async function decibels(
  references: readonly ReadonlyMap<string, Tensor>[],
  run: (i: number) => Promise<ReadonlyMap<string, Tensor>>,
): Promise<number> {
  let power = 0;
  let error = 0;
  for (const [i, reference] of references.entries()) {
    const found = await run(i);
    for (const [name, tensor] of reference) {
      const values = readF32(found.get(name) as Tensor);
      readF32(tensor).forEach((value, k) => {
        power += value ** 2;
        error += (value - (values[k] as number)) ** 2;
      });
    }
  }
  return 10 * Math.log10(power / error);
}

describe.each(MODELS)('%s', (name) => {
  test('in static int8 is a QGemm for every linear, with nothing dequantized, and as exact as its types', async () => {
    const graph = await build(name);
    const feeds = feedsOf(graph);
    const real = feeds.map((feed) => evaluate(graph, feed));
    const count = quantizeStatic(graph, feeds);
    quantizeTables(graph);
    expect(count).toBe(linearsOf(graph).length);
    const { counts } = await optimized(graph);
    expect(counts).toMatchObject({ QGemm: count });
    expect(Object.keys(counts).filter((op) => /^(Dequantize|.*Gemm$|QLinear)/.test(op))).toEqual(['QGemm']);
    const written = await decibels(real, (i) => runOnnx(graph, feeds[i] as ReadonlyMap<string, Tensor>));
    const typed = await decibels(real, async (i) => evaluate(graph, feeds[i] as ReadonlyMap<string, Tensor>));
    // What rounds the other way somewhere gives other errors, but no larger ones.
    expect(written).toBeGreaterThan(typed - 3);
    await expectEachNodeToAgree(graph, feeds[0] as ReadonlyMap<string, Tensor>, 17);
  });

  test('in dynamic int8 is one integer product for every linear', async () => {
    const graph = await build(name);
    const floats = constantBytes(graph);
    const [feeds] = feedsOf(graph) as [ReadonlyMap<string, Tensor>];
    const count = quantizeDynamic(graph);
    quantizeTables(graph);
    expect(count).toBe(linearsOf(graph).length);
    const { counts } = await optimized(graph);
    expect((counts['DynamicQuantizeMatMul'] ?? 0) + (counts['MatMulIntegerToFloat'] ?? 0)).toBe(count);
    expect(Object.keys(counts).filter((op) => /^(Dequantize|.*Gemm$|MatMulInteger$)/.test(op))).toEqual([]);
    expect(constantBytes(graph)).toBeLessThan(0.4 * floats);
    roundDynamically(graph);
    await expectEachNodeToAgree(graph, feeds, 17);
  });
});

test('in 4 bits is one MatMulNBits for every linear', async () => {
  const graph = await build('hf-qa');
  const weights = linearsOf(graph).map(({ inputs }) => inputs[1] as Constant);
  for (const weight of weights) quantizeRows(graph, weight, 7, 32);
  quantizeTables(graph);
  const opset = minimumOpset(graph);
  const { counts } = await optimized(graph, { opset });
  expect(counts).toMatchObject({ MatMulNBits: weights.length });
  expect(Object.keys(counts).filter((op) => /^(Dequantize|.*Gemm$)/.test(op))).toEqual([]);
});

test('with i16 between its linears is as exact as f32 with i8 weights', async () => {
  const graph = await build('hf-qa');
  const feeds = feedsOf(graph);
  quantizeStatic(graph, feeds, () => true, 'i16');
  const weightsOnly = await build('hf-qa');
  quantizeDynamic(weightsOnly);
  const real = feeds.map((feed) => evaluate(weightsOnly, feed));
  const opset = minimumOpset(graph);
  const written = await decibels(real, (i) => runOnnx(graph, feeds[i] as ReadonlyMap<string, Tensor>, { opset }));
  expect(written).toBeGreaterThan(60);
});
