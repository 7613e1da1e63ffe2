import { MbertError } from '../errors.ts';
import type { Graph, Node } from '../ir/graph.ts';
import type { NodeStatistics, Statistics, StatisticsRequest } from '../ir/statistics.ts';
import { integerTensor, readF32, type Tensor } from '../ir/tensor.ts';
import type { RuntimeSession } from '../runtimes/runtime.ts';
import type { TokenRow } from '../samples/feeds.ts';
import { GramSum, loadGramProduct } from './gram.ts';
import { loadOnnxModel, sampleFeeds, tokenInputsOf } from './graph-session.ts';
import { StreamingHistogram } from './histogram.ts';
import { type Probe, probedModel, type Reduction, reductionOutput, VALID } from './probes.ts';

export interface StatisticsOptions {
  /** Id of padding. */
  readonly pad: number;
  /**
   * Length at which a graph of symbolic sequence will be used. A shorter sample then gets one token of padding, which
   * is all that its own tokens see of any (the trigram's neighbour). Default: no padding.
   */
  readonly length?: number;
  /** Number of threads. Default: all cores. */
  readonly threads?: number;
  /** False for few samples: optimizing the graph would take longer than running it. Default true. */
  readonly graphOptimization?: boolean;
  /** Hears of each sample that is done. */
  readonly progress?: (done: number, total: number) => void;
}

/**
 * Runs a float graph on samples in ONNX Runtime, one at a time, and collects what is asked for over their tokens,
 * padding left out. What is kept does not grow with the samples. Same arguments, same numbers. Throws USAGE without
 * samples, UNSUPPORTED for nodes that have no real values, MISMATCH for values that are no numbers.
 */
export async function collectStatistics(
  graph: Graph,
  requests: readonly StatisticsRequest[],
  samples: readonly TokenRow[],
  options: StatisticsOptions,
): Promise<Statistics> {
  if (samples.length === 0) throw new MbertError('USAGE', `${graph.name}: calibration: has no samples`);
  if (requests.length === 0) return new Map();
  const inputs = tokenInputsOf(graph);
  const { model, probes, width } = probedModel(graph, merged(requests), inputs);
  const session = await loadOnnxModel(model, options.threads, options.graphOptimization);
  let products: RuntimeSession | undefined;
  try {
    if (requests.some(({ gram }) => gram)) products = await loadGramProduct(options.threads);
    const totals = new Totals(width);
    const collectors = probes.map((probe) => new Collector(probe, products));
    const fixed = inputs.shape.at(-1);
    for (const [i, row] of samples.entries()) {
      const valid = row.inputIds.length;
      const length = typeof fixed === 'number' ? fixed : Math.min(valid + 1, Math.max(valid, options.length ?? 0));
      const feeds = sampleFeeds(inputs, row, length, options.pad);
      feeds.set(VALID, integerTensor('i64', [valid]));
      const outputs = await session.run(feeds);
      totals.add(outputs);
      for (const collector of collectors) {
        if (!totals.isFinite(collector.probe)) {
          const { name } = collector.probe.request.node;
          throw new MbertError('MISMATCH', `${name}: sample ${i + 1}: its values are infinite or not numbers`, {
            hint: 'the model overflows on this text: check the weights, or leave the sample out',
          });
        }
        await collector.add(outputs, valid);
      }
      options.progress?.(i + 1, samples.length);
    }
    const results = new Map<string, NodeStatistics>();
    for (const collector of collectors) results.set(collector.probe.request.node.name, await collector.result(totals));
    return results;
  } finally {
    await session.close();
    await products?.close();
  }
}

/** Merges requests to one for each node. */
function merged(requests: readonly StatisticsRequest[]): StatisticsRequest[] {
  const byNode = new Map<Node, StatisticsRequest>();
  for (const { node, channels, histogram, gram } of requests) {
    const other = byNode.get(node);
    byNode.set(node, {
      node,
      channels: channels || other?.channels || false,
      histogram: histogram || other?.histogram || false,
      gram: gram || other?.gram || false,
    });
  }
  return [...byNode.values()];
}

type Vectors = { readonly [R in Reduction]: Float64Array };

/** Reductions of all probes over the samples so far. */
class Totals {
  readonly vectors: Vectors;

  constructor(width: number) {
    this.vectors = {
      min: new Float64Array(width).fill(Number.POSITIVE_INFINITY),
      max: new Float64Array(width).fill(Number.NEGATIVE_INFINITY),
      sum: new Float64Array(width),
      squares: new Float64Array(width),
    };
  }

  add(outputs: ReadonlyMap<string, Tensor>): void {
    const { min, max, sum, squares } = this.vectors;
    const read = (reduction: Reduction) => readF32(outputs.get(reductionOutput(reduction)) as Tensor);
    const [least, most, sums, squareSums] = [read('min'), read('max'), read('sum'), read('squares')];
    for (let c = 0; c < min.length; c++) {
      min[c] = Math.min(min[c] as number, least[c] as number);
      max[c] = Math.max(max[c] as number, most[c] as number);
      sum[c] = (sum[c] as number) + (sums[c] as number);
      squares[c] = (squares[c] as number) + (squareSums[c] as number);
    }
  }

  /** True while no value of a probe was infinite or NaN: its sum would be, too. */
  isFinite({ offset, width }: Probe): boolean {
    for (let c = offset; c < offset + width; c++) if (!Number.isFinite(this.vectors.sum[c])) return false;
    return true;
  }
}

/** State that one probe has besides its totals. */
class Collector {
  readonly probe: Probe;
  readonly #histogram: StreamingHistogram | undefined;
  readonly #gram: GramSum | undefined;
  #rows = 0;

  constructor(probe: Probe, products: RuntimeSession | undefined) {
    this.probe = probe;
    const { histogram, gram } = probe.request;
    if (histogram) this.#histogram = new StreamingHistogram();
    if (gram && products) this.#gram = new GramSum(probe.channels, products);
  }

  async add(outputs: ReadonlyMap<string, Tensor>, valid: number): Promise<void> {
    const { rowsOutput, otherRows, tokenAxes } = this.probe;
    this.#rows += otherRows * valid ** tokenAxes.length;
    if (rowsOutput === undefined) return;
    const values = readF32(outputs.get(rowsOutput) as Tensor);
    this.#histogram?.add(values);
    await this.#gram?.add(values);
  }

  async result({ vectors }: Totals): Promise<NodeStatistics> {
    const { offset, width, channels, request } = this.probe;
    const rows = this.#rows;
    const [min, max, sum, squares] = [vectors.min, vectors.max, vectors.sum, vectors.squares].map((vector) =>
      vector.slice(offset, offset + width),
    ) as [Float64Array, Float64Array, Float64Array, Float64Array];
    const count = rows * channels;
    return {
      rows,
      min: min.reduce((a, b) => Math.min(a, b)),
      max: max.reduce((a, b) => Math.max(a, b)),
      mean: sum.reduce((a, b) => a + b) / count,
      rms: Math.sqrt(squares.reduce((a, b) => a + b) / count),
      ...(request.channels && {
        channels: {
          min,
          max,
          mean: sum.map((total) => total / rows),
          rms: squares.map((total) => Math.sqrt(total / rows)),
        },
      }),
      ...(this.#histogram && { histogram: this.#histogram.result() }),
      ...(this.#gram && { gram: await this.#gram.result(rows, sum) }),
    };
  }
}
