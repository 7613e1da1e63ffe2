import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import onnxProto from 'onnx-proto';
import { expect } from 'vitest';
import { onnxModel } from '../../src/exporters/onnx/model.ts';
import { type OnnxOptions, onnx } from '../../src/exporters/onnx.ts';
import type { OnnxAttribute, OnnxModel } from '../../src/formats/onnx.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { dequantized } from '../../src/ir/quantized.ts';
import { type Bindings, bindDim, shapeText } from '../../src/ir/shape.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { typeText } from '../../src/ir/text.ts';
import { onnxruntime } from '../../src/runtimes/onnxruntime.ts';
import { randomTensor } from '../core.ts';

type Options = Partial<OnnxOptions>;

/** The bytes of the model's own file. */
export async function onnxBytes(graph: Graph, options: Options = {}): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const file of onnx.write(graph, { ...onnx.defaults, ...options })) {
    for await (const chunk of file.chunks) chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

export async function runOnnx(graph: Graph, feeds: ReadonlyMap<string, Tensor>, options: Options = {}) {
  const session = await onnxruntime.load(await onnxBytes(graph, options), { threads: 1 });
  const results = await session.run(feeds);
  await session.close();
  return results;
}

/** What ONNX Runtime makes of the written model: how many nodes of each op, and the bytes of its constants. */
export async function optimized(graph: Graph, options: Options = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'mbert-onnx-'));
  try {
    const path = join(folder, 'optimized.onnx');
    await (await onnxruntime.load(await onnxBytes(graph, options), { optimizedModelPath: path })).close();
    const model = onnxProto.onnx.ModelProto.decode(readFileSync(path)).graph;
    const counts: Record<string, number> = {};
    for (const { opType } of model?.node ?? []) counts[opType as string] = (counts[opType as string] ?? 0) + 1;
    return { counts, bytes: readFileSync(path).byteLength };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Random values for every input. */
export function feedsOf(graph: Graph, sizes: Bindings): Map<string, Tensor> {
  return new Map(
    graph.inputs.map(({ name, type }, i) => {
      const shape = type.shape.map((dim) => bindDim(dim, sizes) ?? expect.fail(`${name}: ${dim} has no size`));
      return [name, randomTensor({ dtype: type.dtype, shape }, i + 1)];
    }),
  );
}

/** Runs the written model and the reference on the same inputs; returns how many numbers were compared. */
export async function expectAgreement(
  graph: Graph,
  sizes: Bindings,
  options: Options = {},
  tolerance = 1e-5,
): Promise<void> {
  const feeds = feedsOf(graph, sizes);
  const actual = await runOnnx(graph, feeds, options);
  const wanted = evaluate(graph, feeds);
  expect([...actual.keys()]).toEqual([...wanted.keys()]);
  for (const [name, tensor] of wanted) {
    const found = realValues(actual.get(name) as Tensor, graph, name);
    expect([name, found.dtype, found.shape]).toEqual([name, tensor.dtype, tensor.shape]);
    const a = readF32(found);
    const b = readF32(tensor);
    const bound = tolerance * Math.max(1, ...b.map(Math.abs));
    const worst = Math.max(...b.map((value, i) => Math.abs(value - (a[i] as number))));
    expect(worst, `${name}: largest error`).toBeLessThan(bound);
  }
}

/** An output that is stored quantized comes as integers. */
function realValues(found: Tensor, graph: Graph, name: string): Tensor {
  const quant = graph.outputs.find((output) => output.name === name)?.node.type.quant;
  return quant ? dequantized(found, quant) : found;
}

/** The written model as text: what a reviewer reads in a golden. */
export function onnxText(graph: Graph, options: Options = {}): string {
  return modelText(onnxModel(graph, { ...onnx.defaults, ...options }));
}

/** The lines of `onnxText` that are nodes. */
export function writtenNodes(graph: Graph, options: Options = {}): string[] {
  return onnxText(graph, options)
    .split('\n')
    .filter((line) => line.includes(' = '));
}

function modelText(model: OnnxModel): string {
  const values = (list: OnnxModel['inputs']) =>
    list.map(({ name, ...type }) => `${name}: ${typeText(type)}`).join(', ');
  const nodes = model.nodes.map(({ op, inputs, outputs, attributes }) => {
    const attrs = Object.entries(attributes).map(([name, value]) => `${name}: ${attributeText(value)}`);
    return `  ${outputs.join(', ')} = ${op}(${inputs.join(', ')})${attrs.length > 0 ? ` {${attrs.join(', ')}}` : ''}`;
  });
  const constants = model.initializers.map(({ name, tensor }) => `  ${name} ${tensor.dtype}${shapeText(tensor.shape)}`);
  return [`(${values(model.inputs)}) -> (${values(model.outputs)})`, ...nodes, 'constants', ...constants].join('\n');
}

function attributeText(value: OnnxAttribute): string {
  return String(Object.values(value)[0]);
}
