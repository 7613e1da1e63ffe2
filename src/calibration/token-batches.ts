import type { BatchValues, CalibrationRuns, Matrix, RowPlaces } from '../calibration-runs.ts';
import { MbertError } from '../errors.ts';
import { onnx } from '../exporters/onnx.ts';
import type { OnnxModel } from '../formats/onnx.ts';
import type { Graph, Node } from '../graph.ts';
import type { RuntimeSession } from '../runtimes/runtime.ts';
import { sizeOf } from '../shape.ts';
import { readF32, type Tensor, tensorOf } from '../tensor.ts';
import { cutGraph } from './cut-graph.ts';
import { feedsOf, type TokenRow } from './feeds.ts';
import { loadModel, modelOf, type TokenInputs, tokenInputsOf } from './graph-session.ts';

/** Enough tokens to keep the cores busy, few enough that a batch's values stay small. */
const BATCH_TOKENS = 2048;

/** Rows of a product that are summed in f32, before the sums are added up in f64. */
const PRODUCT_ROWS = 2048;

interface Batch {
  /** Places in the calibration text. */
  readonly sequences: readonly number[];
  /** Tokens of each sequence without padding. */
  readonly valid: number;
  readonly feeds: ReadonlyMap<string, Tensor>;
}

export interface RunsOptions {
  /** The id of padding. */
  readonly pad: number;
  /** Default: all cores. */
  readonly threads?: number | undefined;
}

/**
 * Runs parts of graphs that take `graph`'s inputs on token sequences, in ONNX Runtime. Sequences of one length form a
 * batch, so that nothing is padded where the graph takes any batch and any length; a graph of fixed shapes gets
 * padding, which is left out of the matrices. `close` frees the runtime's memory.
 */
export async function openRuns(
  graph: Graph,
  rows: readonly TokenRow[],
  { pad, threads }: RunsOptions,
): Promise<CalibrationRuns & { close(): Promise<void> }> {
  const inputs = tokenInputsOf(graph);
  const batches = batchesOf(inputs, rows, pad);
  const product = await loadModel(gemm({ transA: true }), threads);
  const rowsTimes = await loadModel(gemm({ transA: false }), threads);
  return {
    sequences: rows.length,
    compute: (part, wanted, known) => compute(part, wanted, known, batches, threads),
    matrixOf: (values) => matrixOf(values, batches),
    product: (a, b) => productOf(product, a, b),
    async rowsTimes(a, b) {
      const found = await rowsTimes.run(operands(a, b));
      return readF32(found.get('c') as Tensor);
    },
    async close() {
      await product.close();
      await rowsTimes.close();
    },
  };
}

/** Sequences in order of length, then of place; a fixed batch that is not full repeats its first sequence. */
function batchesOf(inputs: TokenInputs, rows: readonly TokenRow[], pad: number): Batch[] {
  const [batch, sequence] = [inputs.shape[0], inputs.shape.at(-1)];
  if (inputs.shape.length !== 2) {
    throw new MbertError('UNSUPPORTED', 'calibration: the model takes several sequences for one answer', {
      hint: 'fitting takes models whose inputs are [batch, sequence]',
    });
  }
  const byLength = new Map<number, number[]>();
  for (const [i, { inputIds }] of rows.entries()) {
    byLength.set(inputIds.length, [...(byLength.get(inputIds.length) ?? []), i]);
  }
  const batches: Batch[] = [];
  for (const [valid, places] of [...byLength].sort(([a], [b]) => a - b)) {
    const length = typeof sequence === 'number' ? sequence : valid;
    const size = typeof batch === 'number' ? batch : Math.max(1, Math.floor(BATCH_TOKENS / length));
    for (let from = 0; from < places.length; from += size) {
      const sequences = places.slice(from, from + size);
      const filled = [...sequences];
      while (typeof batch === 'number' && filled.length < batch) filled.push(sequences[0] as number);
      const feeds = feedsOf(
        filled.map((place) => rows[place] as TokenRow),
        { dtype: inputs.dtype, shape: [filled.length, length], pad },
      );
      batches.push({ sequences, valid, feeds });
    }
  }
  return batches;
}

async function compute(
  graph: Graph,
  wanted: readonly Node[],
  known: ReadonlyMap<Node, BatchValues>,
  batches: readonly Batch[],
  threads: number | undefined,
): Promise<Map<Node, BatchValues>> {
  const results = new Map<Node, Tensor[]>(wanted.filter((node) => !known.has(node)).map((node) => [node, []]));
  if (results.size > 0) {
    const { part, from } = cutGraph(graph, [...results.keys()], known);
    const session = await loadModel(
      modelOf(
        part,
        part.outputs.map(({ node }) => node),
      ),
      threads,
    );
    try {
      const names = session.inputs.map(({ name }) => name);
      for (const [i, { feeds }] of batches.entries()) {
        const given = new Map<string, Tensor>();
        for (const name of names) {
          const node = from.get(name);
          given.set(name, (node ? known.get(node)?.[i] : feeds.get(name)) as Tensor);
        }
        const found = await session.run(given);
        for (const [node, values] of results) values.push(found.get(node.name) as Tensor);
      }
    } finally {
      await session.close();
    }
  }
  return new Map(wanted.map((node) => [node, (known.get(node) ?? results.get(node)) as BatchValues]));
}

function matrixOf(values: BatchValues, batches: readonly Batch[]): Matrix & RowPlaces {
  const columns = values[0]?.shape.at(-1) ?? 0;
  const pieces = batches.map((batch, i) => piecesOf(values[i] as Tensor, batch));
  const rows = pieces.reduce((sum, { perSequence }, i) => sum + perSequence * (batches[i]?.sequences.length ?? 0), 0);
  const result = new Float32Array(rows * columns);
  const sequence = new Int32Array(rows);
  const token = new Int32Array(rows);
  let row = 0;
  for (const [i, { sequences }] of batches.entries()) {
    const { perSequence, stride } = pieces[i] as { perSequence: number; stride: number };
    const data = readF32(values[i] as Tensor);
    for (const [n, place] of sequences.entries()) {
      const start = n * stride * columns;
      result.set(data.subarray(start, start + perSequence * columns), row * columns);
      for (let t = 0; t < perSequence; t++, row++) {
        sequence[row] = place;
        token[row] = t;
      }
    }
  }
  return { values: result, rows, columns, sequence, token };
}

/** How many rows a sequence has and how many of them count: all of its tokens, or one. */
function piecesOf(tensor: Tensor, { feeds, valid }: Batch): { readonly perSequence: number; readonly stride: number } {
  const [batch = 1, length = 1] = (feeds.values().next().value as Tensor).shape;
  const rows = sizeOf(tensor.shape.slice(0, -1));
  return rows === batch * length && length > 1 ? { perSequence: valid, stride: length } : { perSequence: 1, stride: 1 };
}

/** a [·, ·] and b [·, ·]: aᵀ b or a bᵀ. */
function gemm({ transA }: { readonly transA: boolean }): OnnxModel {
  return {
    irVersion: 8,
    opset: onnx.defaults.opset,
    producerName: '',
    producerVersion: '',
    properties: {},
    graphName: 'product',
    inputs: ['a', 'b'].map((name) => ({ name, dtype: 'f32', shape: [`${name}/rows`, `${name}/columns`] })),
    outputs: [{ name: 'c', dtype: 'f32', shape: ['c/rows', 'c/columns'] }],
    nodes: [
      {
        name: 'c',
        op: 'Gemm',
        inputs: ['a', 'b'],
        outputs: ['c'],
        attributes: transA ? { transA: { int: 1 } } : { transB: { int: 1 } },
      },
    ],
    initializers: [],
  };
}

function operands(a: Matrix, b: Matrix): Map<string, Tensor> {
  return new Map([
    ['a', tensorOf('f32', [a.rows, a.columns], a.values)],
    ['b', tensorOf('f32', [b.rows, b.columns], b.values)],
  ]);
}

async function productOf(session: RuntimeSession, a: Matrix, b: Matrix): Promise<Float64Array> {
  const sums = new Float64Array(a.columns * b.columns);
  for (let from = 0; from < a.rows; from += PRODUCT_ROWS) {
    const to = Math.min(from + PRODUCT_ROWS, a.rows);
    const found = await session.run(operands(slice(a, from, to), slice(b, from, to)));
    const products = readF32(found.get('c') as Tensor);
    for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + (products[i] as number);
  }
  return sums;
}

function slice({ values, columns }: Matrix, from: number, to: number): Matrix {
  return { values: values.subarray(from * columns, to * columns), rows: to - from, columns };
}
