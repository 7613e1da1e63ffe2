import { readF32, scalarTensor, type Tensor, tensorOf } from '../../ir/tensor.ts';
import type { RuntimeSession } from '../../runtimes/runtime.ts';
import { feedsOf, type TokenRow } from '../../samples/feeds.ts';
import type { DistillGraph } from './distill-graph.ts';
import { RUN_VALUES } from './gradient-memory.ts';

/** Computes gradients at the parameters' present values, for one batch of texts after the other. */
export class GradientRuns {
  readonly #session: RuntimeSession;
  readonly #step: DistillGraph;
  readonly #values: readonly Float32Array[];
  readonly #sums: readonly Float32Array[];
  readonly #pad: number;

  constructor(session: RuntimeSession, step: DistillGraph, values: readonly Float32Array[], pad: number) {
    this.#session = session;
    this.#step = step;
    this.#values = values;
    this.#sums = values.map(({ length }) => new Float32Array(length));
    this.#pad = pad;
  }

  /**
   * The gradients' mean over the rows, run in as many parts as memory asks for. The arrays hold until the next call.
   */
  async gradients(rows: readonly TokenRow[]): Promise<readonly Float32Array[]> {
    for (const sum of this.#sums) sum.fill(0);
    const { inputs } = this.#session;
    const fixed = inputs.find(({ name }) => name === 'input_ids')?.shape[1];
    const lengthOf = (texts: readonly TokenRow[]) => (typeof fixed === 'number' ? fixed : longest(texts));
    const tokens = RUN_VALUES / this.#step.valuesPerToken;
    for (let from = 0; from < rows.length; ) {
      const count = Math.max(1, Math.floor(tokens / lengthOf(rows.slice(from))));
      const part = rows.slice(from, from + count);
      const outputs = await this.#session.run(this.#feedsOf(part, lengthOf(part)));
      for (const [i, { gradient }] of this.#step.parameters.entries()) {
        const values = readF32(outputs.get(gradient.name) as Tensor);
        addScaled(this.#sums[i] as Float32Array, values, part.length / rows.length);
      }
      from += part.length;
    }
    return this.#sums;
  }

  #feedsOf(rows: readonly TokenRow[], length: number): Map<string, Tensor> {
    const feeds = new Map<string, Tensor>();
    const tokens = feedsOf(rows, { dtype: 'i64', shape: [rows.length, length], pad: this.#pad });
    for (const { name } of this.#session.inputs) {
      const tensor = tokens.get(name);
      if (tensor) feeds.set(name, tensor);
    }
    for (const [symbol, { name }] of this.#step.sizes) {
      feeds.set(name, scalarTensor(symbol === this.#step.batch ? rows.length : length));
    }
    for (const [i, { constant, input }] of this.#step.parameters.entries()) {
      feeds.set(input.name, tensorOf('f32', constant.tensor.shape, this.#values[i] as Float32Array));
    }
    return feeds;
  }
}

function longest(rows: readonly TokenRow[]): number {
  return rows.reduce((most, { inputIds }) => Math.max(most, inputIds.length), 0);
}

function addScaled(sum: Float32Array, values: Float32Array, scale: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + scale * (values[i] as number);
}
