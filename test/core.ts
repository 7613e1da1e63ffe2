import type { Graph } from '../src/ir/graph.ts';
import { type Pass, runPasses } from '../src/ir/pass.ts';
import { sizeOf } from '../src/ir/shape.ts';
import { convertTensor, type Tensor, type TensorType, tensorOf } from '../src/ir/tensor.ts';
import { type ConstantSource, graphText, parseGraph } from '../src/ir/text.ts';

/** A small seeded generator (mulberry32), uniform in [0, 1). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Values in [-1, 1) from a seed; integers below 4 for integer types. */
export function randomTensor(
  { dtype, shape }: TensorType & { readonly shape: readonly number[] },
  seed: number,
): Tensor {
  const next = random(seed);
  const integer = /^[iu]/.test(dtype);
  const values = Float64Array.from({ length: sizeOf(shape) }, () =>
    integer ? Math.floor(next() * 4) : next() * 2 - 1,
  );
  const exact = tensorOf('f64', shape, values);
  return dtype === 'f64' ? exact : convertTensor(exact, dtype);
}

const fromHash: ConstantSource = (_, type, hash) => randomTensor(type, Number.parseInt(hash.slice(1), 16) || 1);

/** A graph from text; constants given as `#<hex seed>` get random values from that seed. */
export function graphOf(text: string): Graph {
  return parseGraph(text, fromHash);
}

/** The text of a graph after passes ran on it. */
export async function after(passes: Pass | readonly Pass[], text: string): Promise<string> {
  const graph = graphOf(text);
  await runPasses(graph, Array.isArray(passes) ? passes : [passes as Pass]);
  return graphText(graph);
}
