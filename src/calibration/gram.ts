import type { Gram } from '../ir/statistics.ts';
import { readF32, type Tensor, tensorOf } from '../ir/tensor.ts';
import type { RuntimeSession } from '../runtimes/runtime.ts';
import { loadOnnxModel } from './graph-session.ts';
import { modelOfNodes } from './products.ts';

/**
 * Rows that are multiplied at once: long enough that adding up the products costs less than computing them, short
 * enough to be held for every node.
 */
const CHUNK_ROWS = 512;

/** Model of xᵀ x for x [rows, channels]. */
const PRODUCT = modelOfNodes('gram', {
  inputs: [{ name: 'x', dtype: 'f32', shape: ['rows', 'channels'] }],
  outputs: [{ name: 'products', dtype: 'f32', shape: ['channels', 'channels'] }],
  nodes: [
    { name: 'products', op: 'Gemm', inputs: ['x', 'x'], outputs: ['products'], attributes: { transA: { int: 1 } } },
  ],
});

/** Loads a session that multiplies for every `GramSum`. */
export function loadGramProduct(threads: number | undefined): Promise<RuntimeSession> {
  return loadOnnxModel(PRODUCT, threads);
}

/** Sum of x xᵀ over rows that come in small pieces. */
export class GramSum {
  readonly #size: number;
  readonly #session: RuntimeSession;
  readonly #waiting: Float32Array;
  readonly #products: Float64Array;
  #count = 0;

  constructor(size: number, session: RuntimeSession) {
    this.#size = size;
    this.#session = session;
    this.#waiting = new Float32Array(CHUNK_ROWS * size);
    this.#products = new Float64Array(size * size);
  }

  /** Adds rows of `size` values, one after the other. */
  async add(values: Float32Array): Promise<void> {
    for (let from = 0; from < values.length; ) {
      const taken = Math.min(values.length - from, this.#waiting.length - this.#count);
      this.#waiting.set(values.subarray(from, from + taken), this.#count);
      this.#count += taken;
      from += taken;
      if (this.#count === this.#waiting.length) await this.#multiply();
    }
  }

  async result(rows: number, sums: Float64Array): Promise<Gram> {
    if (this.#count > 0) await this.#multiply();
    return { size: this.#size, rows, products: this.#products, sums };
  }

  async #multiply(): Promise<void> {
    const rows = this.#waiting.subarray(0, this.#count);
    const x = tensorOf('f32', [rows.length / this.#size, this.#size], rows);
    const outputs = await this.#session.run(new Map([['x', x]]));
    const products = readF32(outputs.get('products') as Tensor);
    for (let i = 0; i < products.length; i++)
      this.#products[i] = (this.#products[i] as number) + (products[i] as number);
    this.#count = 0;
  }
}
