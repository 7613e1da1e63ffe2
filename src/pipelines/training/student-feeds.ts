import type { Input } from '../../ir/graph.ts';
import { arrayOf, type Tensor, tensorOf } from '../../ir/tensor.ts';
import type { TensorInfo } from '../../runtimes/runtime.ts';
import { feedsOf, type TokenRow } from '../../samples/feeds.ts';
import type { TrainedArray } from './trained.ts';

/** A read of a table whose rows are fed in its place. */
export interface FedRows {
  /** Name of the table. */
  readonly name: string;
  /** Name of the input whose ids are read. */
  readonly ids: string;
  /** Input that takes the rows. */
  readonly input: Input;
}

/** Feeds a student's graph with texts and with the present values of what is trained. */
export class StudentFeeds {
  readonly #inputs: ReadonlySet<string>;
  readonly #arrays: ReadonlyMap<string, TrainedArray>;
  readonly #reads: readonly FedRows[];
  readonly #pad: number;
  /** The length that sequences are padded to; undefined where any will do. */
  readonly fixedLength: number | undefined;

  constructor(
    inputs: readonly TensorInfo[],
    arrays: ReadonlyMap<string, TrainedArray>,
    { reads, pad }: { readonly reads: readonly FedRows[]; readonly pad: number },
  ) {
    this.#inputs = new Set(inputs.map(({ name }) => name));
    this.#arrays = arrays;
    this.#reads = reads;
    this.#pad = pad;
    const length = inputs.find(({ name }) => name === 'input_ids')?.shape[1];
    this.fixedLength = typeof length === 'number' ? length : undefined;
  }

  /** The present values of what is trained, but for tables. */
  trained(): ReadonlyMap<string, Tensor> {
    const arrays = [...this.#arrays.values()].filter(({ name }) => this.#inputs.has(inputOf(name)));
    return new Map(arrays.map(({ name, shape, values }) => [inputOf(name), tensorOf('f32', shape, values)]));
  }

  /**
   * Tokens of a batch, each text padded to `length`, and the rows of tables that they read. `ids` gets the tokens by the
   * name of their input.
   */
  of(rows: readonly TokenRow[], length: number): { readonly feeds: Map<string, Tensor>; readonly ids: TokenIds } {
    const feeds = new Map<string, Tensor>();
    const tokens = feedsOf(rows, { dtype: 'i64', shape: [rows.length, length], pad: this.#pad });
    const ids = new Map<string, Int32Array>();
    for (const [name, tensor] of tokens) {
      if (this.#inputs.has(name)) feeds.set(name, tensor);
      if (this.#reads.some((read) => read.ids === name))
        ids.set(name, Int32Array.from(arrayOf(tensor) as BigInt64Array, Number));
    }
    for (const { name, ids: from, input } of this.#reads) {
      if (!this.#inputs.has(input.name)) continue;
      const { values, shape } = this.#arrays.get(name) as TrainedArray;
      const width = shape[1] as number;
      const picked = rowsOf(values, ids.get(from) as Int32Array, width);
      const lead = input.type.shape.length === 3 ? [rows.length, length] : [rows.length * length];
      feeds.set(input.name, tensorOf('f32', [...lead, width], picked));
    }
    return { feeds, ids };
  }
}

/** Tokens of a batch by the name of their input. */
export type TokenIds = ReadonlyMap<string, Int32Array>;

/** The name of the input that takes a trained array's present values. */
export function inputOf(name: string): string {
  return `${name}.now`;
}

function rowsOf(table: Float32Array, ids: Int32Array, width: number): Float32Array {
  const rows = new Float32Array(ids.length * width);
  for (let i = 0; i < ids.length; i++) {
    const from = (ids[i] as number) * width;
    rows.set(table.subarray(from, from + width), i * width);
  }
  return rows;
}
