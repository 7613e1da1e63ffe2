import { describe, expect, test } from 'vitest';
import { decodeFlatbuffer } from '../../src/formats/tflite/decode.ts';
import { modelRoot } from '../../src/formats/tflite/generated/model.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { runPasses } from '../../src/ir/pass.ts';
import { convertTensor, readF32, type Tensor } from '../../src/ir/tensor.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import { sqnr } from '../../src/metrics/metrics.ts';
import { openModel } from '../../src/opened/open-model.ts';
import { selectPasses } from '../../src/passes/index.ts';
import { litert } from '../../src/runtimes/litert.ts';
import { toInt8 } from '../int8-by-hand.ts';
import { fixture, readArray, readManifest } from '../models/corpus.ts';
import { quantizeWeights } from '../quantize-by-hand.ts';
import { bytesOf, listing } from './tflite-lab.ts';

type Feeds = ReadonlyMap<string, Tensor>;

/** Lends the fixture's graph as it is written to TFLite, and its inputs; weights are read from the file as they are needed. */
async function withModel(name: string, use: (graph: Graph, feeds: Feeds) => Promise<void>): Promise<void> {
  const feeds = new Map(
    Object.entries(readManifest(name).inputs).map(([input, { file }]) => [
      input,
      convertTensor(readArray(name, file), 'i32'),
    ]),
  );
  const shape = feeds.get('input_ids')?.shape as readonly number[];
  const model = await openModel(fixture(name));
  try {
    const choices = shape.length === 3 ? { choices: shape[1] as number } : {};
    const sizes = { batch: shape[0] as number, sequenceLength: shape.at(-1) as number, ...choices };
    const graph = model.build('tflite', sizes);
    await runPasses(graph, selectPasses(undefined, 'tflite'));
    await use(graph, feeds);
  } finally {
    model.close();
  }
}

/** The least signal-to-noise ratio in dB of what LiteRT computes of a graph, over its outputs. */
async function worstSqnr(graph: Graph, reference: Graph, feeds: Feeds): Promise<number> {
  const session = await litert.load(await bytesOf(graph));
  try {
    const got = await session.run(new Map(graph.inputs.map(({ name }) => [name, feeds.get(name) as Tensor])));
    const ratios = Array.from(evaluate(reference, feeds), ([name, wanted]) =>
      sqnr(readF32(wanted), readF32(got.get(name) as Tensor)),
    );
    return Math.min(...ratios);
  } finally {
    await session.close();
  }
}

const FIXTURES = [
  'bert-seqcls',
  'distilbert-qa',
  'hf-features',
  'hf-mlm-tied',
  'hf-multiplechoice',
  'hf-nsp',
  'hf-pretraining',
  'hf-qa',
  'hf-qa-bottleneckattn',
  'hf-qa-ffn1',
  'hf-qa-fp16',
  'hf-qa-kqunshared',
  'hf-qa-layernorm-gelu',
  'hf-qa-nobottleneck',
  'hf-qa-nonorm-gelu',
  'hf-qa-notrigram',
  'hf-seqcls',
  'hf-tokcls',
];

describe('whole models run in LiteRT as the evaluator says', () => {
  test.each(FIXTURES)('%s with integer weights', async (name) => {
    await withModel(name, async (graph, feeds) => {
      quantizeWeights(graph, 'i8 per channel');
      verifyGraph(graph, 'quantizing weights');
      // The evaluator leaves x in floats, the kernel takes 8 bits of it: 40 dB for every linear that follows another.
      expect(await worstSqnr(graph, graph, feeds)).toBeGreaterThan(35);
    });
  });

  test.each(FIXTURES)('%s in i8', async (name) => {
    await withModel(name, async (graph, feeds) => {
      const int8 = toInt8(graph, [feeds]);
      verifyGraph(int8, 'quantizing');
      // A step more or less at a tie travels through every later layer; the quantization itself costs as much.
      expect(await worstSqnr(int8, int8, feeds)).toBeGreaterThan(24);
      expect(await worstSqnr(int8, graph, feeds)).toBeGreaterThan(24);
    });
  });
});

test('which operators a model in i8 has, and in which versions', async () => {
  await withModel('mini-qa', async (graph, feeds) => {
    const model = decodeFlatbuffer(modelRoot, await bytesOf(toInt8(graph, [feeds])), 'm');
    const counts = new Map<string, number>();
    for (const [, code] of listing(model).matchAll(/ = (\w+ \d+)\(/g)) {
      counts.set(code as string, (counts.get(code as string) ?? 0) + 1);
    }
    expect(Object.fromEntries(counts)).toMatchInlineSnapshot(`
      {
        "ADD 1": 5,
        "ADD 2": 18,
        "BATCH_MATMUL 2": 6,
        "CAST 1": 1,
        "CONV_2D 5": 1,
        "DEQUANTIZE 2": 5,
        "EMBEDDING_LOOKUP 4": 2,
        "FULLY_CONNECTED 5": 37,
        "MUL 1": 1,
        "QUANTIZE 1": 4,
        "RESHAPE 1": 21,
        "SOFTMAX 1": 3,
        "SPLIT 2": 7,
        "SUB 1": 1,
        "TRANSPOSE 2": 12,
      }
    `);
  });
});
