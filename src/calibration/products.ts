import { onnx } from '../exporters/onnx.ts';
import type { OnnxModel, OnnxNode, OnnxValue } from '../formats/onnx.ts';
import { readF32, type Tensor, tensorOf } from '../ir/tensor.ts';
import type { Matrix } from '../ir/text-runs.ts';
import type { RuntimeSession } from '../runtimes/runtime.ts';
import { rowsBetween } from '../solve/rows.ts';
import { loadOnnxModel } from './graph-session.ts';

/** Rows of a product that are summed in f32, before the sums are added up in f64. */
const PRODUCT_ROWS = 4096;

/** Products of matrices in ONNX Runtime. */
interface Products {
  /** Computes aᵀ b. */
  product(a: Matrix, b: Matrix): Promise<Float64Array>;
  /** Computes a bᵀ. */
  rowsTimes(a: Matrix, b: Matrix): Promise<Float32Array>;
  close(): Promise<void>;
}

export async function openProducts(threads: number | undefined): Promise<Products> {
  const product = await loadOnnxModel(gemm({ transA: { int: 1 } }), threads);
  const rowsTimes = await loadOnnxModel(gemm({ transB: { int: 1 } }), threads).catch(async (cause: unknown) => {
    await product.close();
    throw cause;
  });
  return {
    product: (a, b) => sumOfProducts(product, a, b),
    rowsTimes: (a, b) => run(rowsTimes, a, b),
    async close() {
      await product.close();
      await rowsTimes.close();
    },
  };
}

/** Makes a model of a graph alone, in the opset that everything here is written in. */
export function modelOfNodes(
  name: string,
  { inputs, outputs, nodes }: Pick<OnnxModel, 'inputs' | 'outputs' | 'nodes'>,
  initializers: OnnxModel['initializers'] = [],
): OnnxModel {
  return {
    irVersion: 8,
    opset: onnx.defaults.opset,
    producerName: '',
    producerVersion: '',
    properties: {},
    graphName: name,
    inputs,
    outputs,
    nodes,
    initializers,
  };
}

/** Model of the product of a and b, both less their means. */
function gemm(attributes: OnnxNode['attributes']): OnnxModel {
  const f32 = (name: string, shape: OnnxValue['shape']): OnnxValue => ({ name, dtype: 'f32', shape });
  const node = (op: string, inputs: readonly string[], output: string, more: OnnxNode['attributes'] = {}) => ({
    name: output,
    op,
    inputs,
    outputs: [output],
    attributes: more,
  });
  return modelOfNodes('product', {
    inputs: ['a', 'b'].flatMap((name) => [
      f32(name, [`${name}/rows`, `${name}/columns`]),
      f32(`${name}/mean`, [`${name}/columns`]),
    ]),
    outputs: [f32('c', ['c/rows', 'c/columns'])],
    nodes: [
      node('Sub', ['a', 'a/mean'], 'a/centred'),
      node('Sub', ['b', 'b/mean'], 'b/centred'),
      node('Gemm', ['a/centred', 'b/centred'], 'c', attributes),
    ],
  });
}

async function run(session: RuntimeSession, a: Matrix, b: Matrix): Promise<Float32Array> {
  const feeds = new Map<string, Tensor>();
  for (const [name, { values, rows, columns, mean }] of [
    ['a', a],
    ['b', b],
  ] as const) {
    feeds.set(name, tensorOf('f32', [rows, columns], values));
    feeds.set(`${name}/mean`, tensorOf('f32', [columns], mean ?? new Float32Array(columns)));
  }
  const outputs = await session.run(feeds);
  return readF32(outputs.get('c') as Tensor);
}

async function sumOfProducts(session: RuntimeSession, a: Matrix, b: Matrix): Promise<Float64Array> {
  const sums = new Float64Array(a.columns * b.columns);
  for (let from = 0; from < a.rows; from += PRODUCT_ROWS) {
    const to = Math.min(from + PRODUCT_ROWS, a.rows);
    const products = await run(session, rowsBetween(a, from, to), rowsBetween(b, from, to));
    for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + (products[i] as number);
  }
  return sums;
}
