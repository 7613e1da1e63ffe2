import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { evaluate } from '../../../src/ir/evaluate.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import type { NodeStatistics } from '../../../src/ir/statistics.ts';
import { readF32, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import type { ShapeOptions } from '../../../src/options/shape.ts';
import type { Target } from '../../../src/passes/index.ts';
import type { Collect } from '../../../src/pipelines/quantize/calibration-runs.ts';
import { integerGraph } from '../../../src/quantization/forms/integer-graph.ts';
import { feedsOf } from '../../../src/samples/feeds.ts';
import { graphOf } from '../../core.ts';
import { computed, type LoadedFile, useFakeRuntime } from '../fake-runtime.ts';
import { temporaryFolder } from '../written.ts';
import { chain, decideOptions, useScriptedErrors, type Writes, writing } from './scripted.ts';

const folder = temporaryFolder();

/** A classifier of two layers over a table, of any length where nobody fixes one. */
function layered(target: Target, { sequenceLength = 'dynamic' }: ShapeOptions = {}): Graph {
  const shape = `1, ${sequenceLength === 'dynamic' ? 'sequence' : sequenceLength}`;
  return graphOf(`graph g (input_ids: ${target === 'onnx' ? 'i64' : 'i32'}[${shape}])
  words = gather(table f32[200, 16] #1, input_ids)
  act = relu(words)
  m.layer.0.dense = linear(act, w f32[16, 16] #2, b f32[16] #3)
  m.layer.0.sum = add(m.layer.0.dense, act)
  m.layer.1.dense = linear(m.layer.0.sum, v f32[16, 16] #4, c f32[16] #5)
  m.layer.1.sum = add(m.layer.1.dense, m.layer.0.sum)
  first = slice(m.layer.1.sum) {axis: 1, end: 1}
  pooled = reshape(first) {shape: [1, 16]}
  head = linear(pooled, u f32[16, 16] #6, d f32[16] #7)
return logits: head`);
}

/** The ranges of all held-out rows, by the reference evaluator. */
const collect: Collect = async (graph, requests) => {
  const nodes = requests.map(({ node }) => node);
  const runs = decideOptions().samples.proof.map((row) =>
    evaluate(graph, feedsOf([row], { dtype: 'i32', shape: [1, 4], pad: 0 }), nodes),
  );
  return new Map(
    nodes.map(({ name }): [string, NodeStatistics] => {
      const values = runs.flatMap((values) => [...readF32(values.get(name) as Tensor)]);
      const [min, max] = [Math.min(...values), Math.max(...values)];
      return [name, { rows: 1, min, max, mean: 0, rms: 1 }];
    }),
  );
};

const LABELS = Array.from({ length: 16 }, (_, i) => `class${i}`);

function writer(name: string, more: Partial<Writes> = {}, integerOutputs = false) {
  const options = decideOptions();
  return writing(
    join(folder, name),
    {
      build: layered,
      model: {
        labels: LABELS,
        tokenizer: { vocabulary: { what: 'vocab.txt', bytes: new TextEncoder().encode('wordsofthemodel') } },
      },
      ...more,
    },
    { form: integerGraph, collect, request: { ...options.request, integerOutputs }, scan: false },
  );
}

function negative(tensor: Tensor): Tensor {
  return tensorOf(
    'f32',
    tensor.shape,
    readF32(tensor).map((value) => -value),
  );
}

const temporary = (files: readonly LoadedFile[]) => files.filter(({ path }) => !path.startsWith(folder));

describe('a TFLite file', () => {
  test('of fixed shapes is proven itself, its layers in files without labels and words', async () => {
    const fake = useFakeRuntime();
    const { file } = await writer('fixed.tflite', { shape: { sequenceLength: 4 } }).writeDecision();
    expect(file.proof?.layers.map(({ name }) => name)).toEqual(['m.layer.0.sum', 'm.layer.1.sum']);
    for (const { sqnrDb } of file.proof?.layers ?? []) expect(sqnrDb).toBeGreaterThan(15);
    expect(fake.loaded.map(({ path }) => path)).toContain(join(folder, 'fixed.tflite'));
    expect(readFileSync(join(folder, 'fixed.tflite'), 'latin1')).toContain('wordsofthemodel');
    // The float file, the layers of both, and float, once for each of two, and dynamic ones beside.
    expect(temporary(fake.loaded)).toHaveLength(6);
    for (const { text } of temporary(fake.loaded)) expect(text).not.toMatch(/wordsofthemodel|class7/);
  });

  test('of any length is proven by a twin of fixed length, quantized by the same decisions', async () => {
    const fake = useFakeRuntime();
    const shape = { sequenceLength: 'dynamic' } as const;
    const { file } = await writer('open.tflite', { shape }).writeDecision();
    expect(file.inputs).toEqual([{ name: 'input_ids', type: 'i32[1, sequence]' }]);
    expect(file.proof).toMatchObject({ samples: 40, agreement: 1 });
    expect(fake.loaded.map(({ path }) => path)).not.toContain(join(folder, 'open.tflite'));
    const shapes = fake.loaded.map(({ graph }) => graph.inputs[0]?.type.shape);
    expect(new Set(shapes.map(String))).toEqual(new Set(['1,8']));
    const stored = fake.loaded.map(({ graph }) => graph.nodes().some(({ type }) => type.quant !== undefined));
    // Float and quantized, their outputs and then their layers; then the static and the dynamic file beside float.
    expect(stored).toEqual([false, true, false, true, false, true, false, true]);
  });

  test('has one twin, however often it is written', async () => {
    let twins = 0;
    const build: Writes['build'] = (target, shape) => {
      if (shape?.sequenceLength === 8) twins++;
      return layered(target, shape);
    };
    // Every choice is as bad, so that all are tried.
    const fake = useFakeRuntime((file, feeds) => {
      const outputs = computed(file, feeds);
      if (!file.graph.nodes().some(({ type }) => type.quant !== undefined)) return outputs;
      return new Map([...outputs].map(([name, tensor]) => [name, negative(tensor)]));
    });
    const shape = { sequenceLength: 'dynamic' } as const;
    const { file } = await writer('searched.tflite', { build, shape, maxDrop: 1 }).writeDecision();
    expect(file.failures).toHaveLength(1);
    expect(file.pareto?.length).toBeGreaterThan(2);
    expect([twins, fake.open()]).toEqual([1, 0]);
  });

  test('with integer outputs is proven with the numbers that they stand for', async () => {
    const fake = useFakeRuntime();
    const shape = { sequenceLength: 4 };
    const { file } = await writer('integers.tflite', { shape }, true).writeDecision();
    expect(file.outputs).toEqual([{ name: 'logits', type: 'i8[1, 16]' }]);
    expect(fake.loaded.map(({ path }) => path)).not.toContain(join(folder, 'integers.tflite'));
    const types = fake.loaded.map(({ graph }) => graph.outputs[0]?.node.type.dtype);
    expect(types).toEqual(['f32', 'f32', 'f32', 'f32']);
    expect(file.proof?.sqnrDb).toBeGreaterThan(15);
  });
});

describe('halves', () => {
  // Small tables stay f32.
  const build = () => chain(2, 1200);

  test.each(['onnx', 'tflite'] as const)('in %s are proven beside f32, and say what they are', async (format) => {
    const path = join(folder, `halves.${format}`);
    const halves = { quantization: { scheme: 'f16' }, shape: { sequenceLength: 4 } } as const;
    const fake = useFakeRuntime();
    const file = await writing(path, { build: format === 'onnx' ? build : layered, ...halves }).writeHalves();
    expect(file).toMatchObject({ form: 'f16', scheme: 'f16', linears: { f16: 3 }, failures: [], pareto: undefined });
    expect(file.proof?.layers).toEqual([]);
    expect(file.proof?.sqnrDb).toBeGreaterThan(40);
    expect(fake.loaded).toHaveLength(2);
    const [float = 0, stored = 0] = fake.loaded.map(({ text }) => text.length);
    expect(stored).toBeLessThan(0.75 * float);
  });

  test('pass a gate, or do not', async () => {
    const path = join(folder, 'gated.onnx');
    const wrong = (count: number) => useScriptedErrors((_, id) => (id - 10 < count ? 2 : 0.001));
    const write = (maxDrop: number) => writing(path, { build, quantization: { scheme: 'f16' }, maxDrop }).writeHalves();
    wrong(2);
    expect((await write(5)).failures).toEqual([]);
    wrong(2);
    expect((await write(4)).failures).toEqual(['--max-drop 4: agreement fell by 5.00 points']);
  });

  test('without held-out samples are not proven', async () => {
    const fake = useFakeRuntime(computed);
    const samples = { ...decideOptions().samples, proof: [] };
    const path = join(folder, 'unproven.onnx');
    const file = await writing(path, { build, quantization: { scheme: 'f16' } }, { samples }).writeHalves();
    expect(file.proof).toBeUndefined();
    expect(fake.loaded).toEqual([]);
  });
});
