import type { Call, Graph, Node } from '../ir/graph.ts';
import { type Shape, sameShape, sizeOf } from '../ir/shape.ts';
import { readF32, type Tensor, tensorOf } from '../ir/tensor.ts';
import type { BatchValues, TextMatrix, TextRuns } from '../ir/text-runs.ts';
import { isParameter, isTokenWise } from '../ir/token-wise.ts';
import type { RuntimeSession } from '../runtimes/runtime.ts';
import type { TokenRow } from '../samples/feeds.ts';
import { cutGraph } from './cut-graph.ts';
import { loadOnnxModel, modelOf, tokenInputsOf } from './graph-session.ts';
import { openProducts } from './products.ts';
import { openScorePairs } from './score-pairs.ts';
import { type Batch, batchesOf, type TextBatches } from './token-batches.ts';

/** Tokens of a run where batches do not matter. */
const CHUNK_TOKENS = 4096;

interface RunsOptions {
  /** Id of padding. */
  readonly pad: number;
  /** Number of threads. Default: all cores. */
  readonly threads?: number | undefined;
  /** Most tokens of a batch. Default: enough to keep the cores busy. */
  readonly batchTokens?: number | undefined;
}

/**
 * Opens runs of parts of graphs that take `graph`'s inputs on token sequences, in ONNX Runtime: batch by batch, or,
 * what treats every token alike, thousands of tokens at a time. A graph of fixed shapes gets padding, which is left out
 * of the matrices. `close` frees the runtime's memory.
 */
export async function openRuns(
  graph: Graph,
  rows: readonly TokenRow[],
  { threads, ...batches }: RunsOptions,
): Promise<TextRuns & { close(): Promise<void> }> {
  const text = batchesOf(tokenInputsOf(graph), rows, batches);
  const products = await openProducts(threads);
  const runner = new Runner(text, threads);
  const [tokens, sequences] = [rowPlaces(text, ({ valid }) => valid), rowPlaces(text, () => 1)];
  return {
    compute: (part, wanted, known) => runner.compute(part, wanted, known),
    matrixOf: (values) => matrixOf(values, text, tokens, sequences),
    product: products.product,
    rowsTimes: products.rowsTimes,
    scorePairs: (student, teacher, segments) => openScorePairs(student, teacher, segments, threads),
    close: products.close,
  };
}

class Runner {
  readonly #text: TextBatches;
  readonly #threads: number | undefined;

  constructor(text: TextBatches, threads: number | undefined) {
    this.#text = text;
    this.#threads = threads;
  }

  async compute(
    graph: Graph,
    wanted: readonly Node[],
    known: ReadonlyMap<Node, BatchValues>,
  ): Promise<Map<Node, BatchValues>> {
    const missing = wanted.filter((node) => !known.has(node));
    const computed = missing.length > 0 ? await this.#run(graph, missing, known) : new Map<Node, BatchValues>();
    return new Map(wanted.map((node) => [node, (known.get(node) ?? computed.get(node)) as BatchValues]));
  }

  async #run(graph: Graph, missing: readonly Node[], known: ReadonlyMap<Node, BatchValues>) {
    const { part, from } = cutGraph(graph, missing, known);
    const given = new Map([...from].map(([name, node]) => [name, known.get(node) as BatchValues]));
    const nodes = part.outputs.map(({ node }) => node);
    const session = await loadOnnxModel(modelOf(part, nodes), this.#threads);
    try {
      const computed =
        this.#text.isFull && isAllTokenWise(part, given)
          ? await this.#byTokens(session, nodes, given)
          : await this.#byBatches(session, nodes, given, graph.inputs[0]?.type.shape ?? []);
      return new Map(missing.map((node) => [node, computed.get(node.name) as BatchValues]));
    } finally {
      await session.close();
    }
  }

  async #byBatches(
    session: RuntimeSession,
    nodes: readonly Node[],
    given: ReadonlyMap<string, BatchValues>,
    tokenShape: Shape,
  ): Promise<Map<string, BatchValues>> {
    const { batches, tokens, isFull } = this.#text;
    const results = nodes.map((node) => {
      const columns = node.type.dtype === 'f32' && isFull ? columnsOf(node.type.shape, tokenShape) : undefined;
      return {
        name: node.name,
        tensors: [] as Tensor[],
        rows: columns === undefined ? undefined : new Float32Array(tokens * columns),
        at: 0,
      };
    });
    for (const [i, { feeds }] of batches.entries()) {
      const inputs = new Map<string, Tensor>();
      for (const { name } of session.inputs) {
        inputs.set(name, (given.get(name)?.batches[i] ?? feeds.get(name)) as Tensor);
      }
      const outputs = await session.run(inputs);
      for (const result of results) {
        const tensor = outputs.get(result.name) as Tensor;
        if (result.rows === undefined) {
          result.tensors.push(tensor);
          continue;
        }
        const values = readF32(tensor);
        result.rows.set(values, result.at);
        result.tensors.push(tensorOf('f32', tensor.shape, result.rows.subarray(result.at, result.at + values.length)));
        result.at += values.length;
      }
    }
    return new Map(results.map(({ name, tensors, rows }) => [name, { batches: tensors, rows }]));
  }

  async #byTokens(
    session: RuntimeSession,
    nodes: readonly Node[],
    given: ReadonlyMap<string, BatchValues>,
  ): Promise<Map<string, BatchValues>> {
    const { tokens } = this.#text;
    const results = nodes.map(({ name, type }) => {
      const columns = type.shape.at(-1) as number;
      return { name, columns, rows: new Float32Array(tokens * columns) };
    });
    for (let from = 0; from < tokens; from += CHUNK_TOKENS) {
      const count = Math.min(CHUNK_TOKENS, tokens - from);
      const inputs = new Map<string, Tensor>();
      for (const { name } of session.inputs) {
        const rows = given.get(name)?.rows;
        // What no node reads has to be there all the same.
        inputs.set(name, rows ? rowsOf(rows, tokens, from, count) : this.#anyTokens(name, count));
      }
      const outputs = await session.run(inputs);
      for (const { name, columns, rows } of results) rows.set(readF32(outputs.get(name) as Tensor), from * columns);
    }
    return new Map(results.map(({ name, columns, rows }) => [name, { batches: this.#inBatches(rows, columns), rows }]));
  }

  #anyTokens(name: string, count: number): Tensor {
    const [first] = this.#text.batches as readonly [Batch];
    const { dtype } = first.feeds.get(name) as Tensor;
    return tensorOf(dtype, [1, count], dtype === 'i32' ? new Int32Array(count) : new BigInt64Array(count));
  }

  #inBatches(rows: Float32Array, columns: number): Tensor[] {
    let at = 0;
    return this.#text.batches.map(({ sequences, valid }) => {
      const from = at;
      at += sequences.length * valid * columns;
      return tensorOf('f32', [sequences.length, valid, columns], rows.subarray(from, at));
    });
  }
}

/** Takes [1, count, columns] from rows of as many columns as fit. */
function rowsOf(rows: Float32Array, tokens: number, from: number, count: number): Tensor {
  const columns = rows.length / tokens;
  return tensorOf('f32', [1, count, columns], rows.subarray(from * columns, (from + count) * columns));
}

/** Number of channels of a value that has a row for each token of [batch, sequence]; undefined for others. */
function columnsOf(shape: Shape, tokenShape: Shape): number | undefined {
  const columns = shape.at(-1);
  return sameShape(shape.slice(0, -1), tokenShape) && typeof columns === 'number' ? columns : undefined;
}

/** True for a graph that computes [batch, sequence, channels] from such values, each token by itself. */
function isAllTokenWise(part: Graph, given: ReadonlyMap<string, BatchValues>): boolean {
  const tokenShape = part.inputs[0]?.type.shape ?? [];
  const isTokens = ({ type }: Node) => type.dtype === 'f32' && columnsOf(type.shape, tokenShape) !== undefined;
  const isForAll = (node: Node) => node.op === 'constant' && node.type.shape.slice(0, -1).every((dim) => dim === 1);
  return part.nodes().every((node) => {
    if (node.op === 'constant') return true;
    if (node.op === 'input') return node.users.size === 0 || given.get(node.name)?.rows !== undefined;
    const fits = (input: Node, i: number) =>
      isParameter(node, i) ? input.op === 'constant' : isTokens(input) || isForAll(input);
    return isTokens(node) && isTokenWise(node as Call) && node.inputs.every(fits);
  });
}

/** Finds the sequence that each row of a matrix belongs to, for as many rows as a batch's sequences have. */
function rowPlaces({ batches, fitted }: TextBatches, rowsOfSequence: (batch: Batch) => number) {
  const sequence = new Int32Array(
    batches.reduce((sum, batch) => sum + batch.sequences.length * rowsOfSequence(batch), 0),
  );
  let row = 0;
  let fittedRows = 0;
  for (const [i, batch] of batches.entries()) {
    const count = rowsOfSequence(batch);
    for (const place of batch.sequences) {
      sequence.fill(place, row, row + count);
      row += count;
    }
    if (i < fitted) fittedRows = row;
  }
  return { sequence, fitted: fittedRows };
}

function matrixOf(
  { batches: tensors, rows: shared }: BatchValues,
  { batches }: TextBatches,
  tokens: Pick<TextMatrix, 'sequence' | 'fitted'>,
  sequences: Pick<TextMatrix, 'sequence' | 'fitted'>,
): TextMatrix {
  const columns = (tensors[0]?.shape.at(-1) ?? 0) as number;
  if (shared) return { values: shared, rows: tokens.sequence.length, columns, ...tokens };
  const places = hasTokenRows(tensors[0] as Tensor, batches[0] as Batch) ? tokens : sequences;
  const rows = places.sequence.length;
  const values = new Float32Array(rows * columns);
  let row = 0;
  for (const [i, batch] of batches.entries()) {
    const tensor = tensors[i] as Tensor;
    const data = readF32(tensor);
    const hasTokens = hasTokenRows(tensor, batch);
    const stride = hasTokens ? lengthOf(batch) : 1;
    const count = hasTokens ? batch.valid : 1;
    for (let n = 0; n < batch.sequences.length; n++, row += count) {
      const start = n * stride * columns;
      values.set(data.subarray(start, start + count * columns), row * columns);
    }
  }
  return { values, rows, columns, ...places };
}

/** True where all tokens of a batch have a row, padding too; else each sequence has one. */
function hasTokenRows({ shape }: Tensor, batch: Batch): boolean {
  const [size = 1, length = 1] = (batch.feeds.values().next().value as Tensor).shape;
  return sizeOf(shape.slice(0, -1)) === size * length && length > 1;
}

function lengthOf({ feeds }: Batch): number {
  return (feeds.values().next().value as Tensor).shape[1] as number;
}
