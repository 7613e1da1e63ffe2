import { expect } from 'vitest';
import type { TfliteOptions } from '../../src/exporters/tflite.ts';
import { decodeFlatbuffer } from '../../src/formats/tflite/decode.ts';
import { type Model, modelRoot } from '../../src/formats/tflite/generated/model.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { readF32, type Tensor, type TensorType } from '../../src/ir/tensor.ts';
import { litert } from '../../src/runtimes/litert.ts';
import { graphOf, randomTensor } from '../core.ts';
import { bytesOf } from './tflite-lab.ts';

/** Seeded feeds, LiteRT's outputs for them and the evaluator's. */
export async function runBoth(
  graph: Graph,
  options: Partial<TfliteOptions> = {},
): Promise<{ readonly [output: string]: { readonly got: Float32Array; readonly wanted: Float32Array } }> {
  const feeds = new Map(
    graph.inputs.map(({ name, type }, i) => [name, randomTensor(type as TensorType & { shape: number[] }, i + 1)]),
  );
  const session = await litert.load(await bytesOf(graph, options));
  try {
    const got = await session.run(feeds);
    const pairs = Array.from(evaluate(graph, feeds), ([name, tensor]) => [
      name,
      { got: readF32(got.get(name) as Tensor), wanted: readF32(tensor) },
    ]);
    return Object.fromEntries(pairs);
  } finally {
    await session.close();
  }
}

/** The largest difference, in units of `step`. */
export function steps(pair: { got: Float32Array; wanted: Float32Array } | undefined, step: number): number {
  const { got, wanted } = pair as { got: Float32Array; wanted: Float32Array };
  expect(got.length).toBe(wanted.length);
  return wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - (got[i] as number)) / step), 0);
}

export function decoded(bytes: Uint8Array): Model {
  return decodeFlatbuffer(modelRoot, bytes, 'model.tflite');
}

/** A graph around `body`, which makes `y` of the quantized `a` [2, 3, 8] and `c` [2, 3, 8] and the ids `i`. */
export function around(body: string): Graph {
  return graphOf(`graph g (x: f32[2, 3, 8], z: f32[2, 3, 8], i: i32[2, 2])
    a = quantize(x)  i8[2, 3, 8] q(0.008, -2)
    c = quantize(z)  i8[2, 3, 8] q(0.01, 0)
    ${body}
    r = dequantize(y)
    return out: r`);
}
