import { collectStatistics } from '../../calibration/statistics.ts';
import type { Graph } from '../../graph.ts';
import type { ChannelStatistics, Statistics, StatisticsRequest } from '../../statistics.ts';
import type { Collect } from './decide.ts';
import type { SampleSets } from './samples.ts';
import type { ChannelRanges, QuantizeOptions, Spread } from './types.ts';

/** Runs the calibration samples; a twin of a graph that was calibrated before gets the same numbers. */
export class CalibrationRuns {
  readonly #samples: SampleSets;
  readonly #pad: number;
  readonly #options: QuantizeOptions;
  readonly #done: Statistics[] = [];
  /** By node: of the first run that looked at its channels, and of the last. */
  readonly #spreads = new Map<string, { readonly before: Spread; after: Spread | undefined }>();

  constructor(samples: SampleSets, pad: number, options: QuantizeOptions) {
    this.#samples = samples;
    this.#pad = pad;
    this.#options = options;
  }

  /** What passes ask; undefined without samples, so that they do without. */
  collector(): Collect | undefined {
    if (this.#samples.calibration.length === 0) return undefined;
    return (graph, requests) => this.collect(graph, requests);
  }

  /** Answers in the order in which the first graph was asked. */
  replay(): Collect | undefined {
    if (this.#samples.calibration.length === 0) return undefined;
    let next = 0;
    return async (graph, requests) => this.#done[next++] ?? this.collect(graph, requests);
  }

  async collect(graph: Graph, requests: readonly StatisticsRequest[]): Promise<Statistics> {
    const { sequenceLength } = this.#options;
    const wanted = this.#options.outline ? requests.map((request) => this.#again(request)) : requests;
    const found = await collectStatistics(graph, wanted, this.#samples.calibration, {
      pad: this.#pad,
      ...(typeof sequenceLength === 'number' && { length: sequenceLength }),
      progress: (done, total) => this.#options.progress?.('calibrating', done, total),
    });
    this.#done.push(found);
    for (const [name, { channels }] of found) {
      if (!channels) continue;
      const known = this.#spreads.get(name);
      if (known) known.after = spreadOf(channels);
      else this.#spreads.set(name, { before: spreadOf(channels), after: undefined });
    }
    return found;
  }

  /** Once a node's channels were looked at they are looked at again: passes between two runs change them. */
  #again(request: StatisticsRequest): StatisticsRequest {
    return this.#spreads.has(request.node.name) ? { ...request, channels: true } : request;
  }

  /** Of what was looked at twice, in the order of the first time. */
  channelRanges(): ChannelRanges[] {
    return [...this.#spreads].flatMap(([name, { before, after }]) => (after ? [{ name, before, after }] : []));
  }
}

function spreadOf({ min, max }: ChannelStatistics): Spread {
  const widths = max.map((most, channel) => most - (min[channel] as number)).sort();
  return { median: widths[widths.length >> 1] ?? 0, largest: widths.at(-1) ?? 0 };
}
