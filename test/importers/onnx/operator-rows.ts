import { expect, test } from 'vitest';
import { evaluate } from '../../../src/ir/evaluate.ts';
import { bindDim, type Shape } from '../../../src/ir/shape.ts';
import { convertTensor, type DType, integerTensor, readF32, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import { onnxruntime } from '../../../src/runtimes/onnxruntime.ts';
import { randomTensor } from '../../core.ts';
import { type AttributeSpec, encodeModel, importBytes, modelProto, type NodeSpec } from './model.ts';

/** What `batch` and `sequence` stand for in the runs. */
const SIZES = { batch: 2, sequence: 5 };

/** [operator, inputs, output or outputs, attributes] */
type Step = readonly [
  op: string,
  inputs: string,
  outputs: string,
  attributes?: { readonly [name: string]: AttributeSpec },
];

export interface Row {
  readonly name: string;
  readonly opset?: number;
  /** The run's inputs; `x` f32[batch, sequence, 4] unless it says otherwise. */
  readonly inputs?: { readonly [name: string]: readonly [DType, Shape] };
  readonly constants?: { readonly [name: string]: Tensor };
  /** The last step's output is `y`. */
  readonly steps: readonly Step[];
  /** The ops that are left in the graph, in order; shape arithmetic is none of them. */
  readonly ops: string;
}

export const X = { x: ['f32', ['batch', 'sequence', 4]] } as const;
export const IDS = { x: ['i64', ['batch', 'sequence']] } as const;

export const ints = (...values: number[]) => integerTensor('i64', values);
export const int = (value: number) => integerTensor('i64', [value], []);
export const scalar = (value: number) => tensorOf('f32', [], Float32Array.of(value));
export const floats = (shape: readonly number[], seed = 1) => randomTensor({ dtype: 'f32', shape }, seed);
export const bytesOf = (dtype: DType, shape: readonly number[], values: readonly number[]) =>
  convertTensor(tensorOf('f64', shape, Float64Array.from(values)), dtype);

function nodeOf([op, inputs, outputs, attributes = {}]: Step): NodeSpec {
  const names = inputs.split(' ').map((name) => (name === '_' ? '' : name));
  return { op, inputs: names, outputs: outputs.split(' '), attributes };
}

async function compare({ opset = 17, inputs = X, constants = {}, steps }: Row) {
  const types = Object.fromEntries(Object.entries(inputs).map(([name, [dtype, shape]]) => [name, { dtype, shape }]));
  const bytes = encodeModel(modelProto({ opset, inputs: types, constants, nodes: steps.map(nodeOf), outputs: ['y'] }));
  const graph = importBytes(bytes);
  const feeds = new Map(
    Object.entries(inputs).map(([name, [dtype, shape]], i) => {
      const sizes = shape.map((dim) => bindDim(dim, SIZES) as number);
      return [name, randomTensor({ dtype, shape: sizes }, i + 5)] as const;
    }),
  );
  const session = await onnxruntime.load(bytes, { threads: 1, graphOptimization: false });
  const wanted = (await session.run(feeds)).get('y') as Tensor;
  await session.close();
  return { graph, wanted, found: evaluate(graph, feeds).get('y') as Tensor };
}

/** Every row's model, read and evaluated, agrees with ONNX Runtime and holds the ops that it should. */
export function agreesWithOnnxRuntime(rows: readonly Row[]): void {
  test.each(rows)('$name', async (row) => {
    const { graph, wanted, found } = await compare(row);
    const ops = graph.nodes().flatMap(({ op }) => (op === 'input' || op === 'constant' ? [] : [op]));
    expect(ops.join(' ')).toBe(row.ops);
    expect([found.dtype, found.shape]).toEqual([wanted.dtype, wanted.shape]);
    const [a, b] = [readF32(found), readF32(wanted)];
    expect(Math.max(...b.map((value, i) => Math.abs(value - (a[i] as number))))).toBeLessThan(2e-6);
  });
}
