import { feedsOf, type TokenRow } from '../../calibration/feeds.ts';
import type { RuntimeSession } from '../../runtimes/runtime.ts';
import { readF32, scalarTensor, type Tensor, tensorOf } from '../../tensor.ts';
import type { DistillGraph } from './distill-graph.ts';

/** Tokens of one run, padding counted: all values of all layers are held until their gradients are known. */
const RUN_TOKENS = 768;

/** One batch of texts after the other: gradients of the parameters' present values. */
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

  /** The mean over the rows, run in as many parts as memory asks for. The arrays hold until the next call. */
  async gradients(rows: readonly TokenRow[]): Promise<readonly Float32Array[]> {
    for (const sum of this.#sums) sum.fill(0);
    const { inputs } = this.#session;
    const fixed = inputs.find(({ name }) => name === 'input_ids')?.shape[1];
    for (let from = 0; from < rows.length; ) {
      const length = typeof fixed === 'number' ? fixed : longest(rows.slice(from));
      const part = rows.slice(from, from + Math.max(1, Math.floor(RUN_TOKENS / length)));
      const found = await this.#session.run(this.#feedsOf(part, typeof fixed === 'number' ? fixed : longest(part)));
      for (const [i, { gradient }] of this.#step.parameters.entries()) {
        addScaled(
          this.#sums[i] as Float32Array,
          readF32(found.get(gradient.name) as Tensor),
          part.length / rows.length,
        );
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
