import { distributionsOf, PLOTTED_SAMPLES } from '../../calibration/distributions.ts';
import { collectStatistics } from '../../calibration/statistics.ts';
import { MbertError } from '../../errors.ts';
import type { Graph } from '../../ir/graph.ts';
import type { ChannelStatistics, NodeStatistics, Statistics, StatisticsRequest } from '../../ir/statistics.ts';
import type { Distribution } from '../../metrics/distribution.ts';
import { type Run, within } from '../../options/run.ts';
import type { ShapeOptions } from '../../options/shape.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';

/** Collects statistics of a graph's nodes over calibration samples. */
export type Collect = (graph: Graph, requests: readonly StatisticsRequest[]) => Promise<Statistics>;

/** Collects for passes, from the first samples or from all. */
type CollectForPasses = (
  graph: Graph,
  requests: readonly StatisticsRequest[],
  samples?: 'some' | 'all',
) => Promise<Statistics>;

/** Spread of the ranges of a value's channels, before and after passes that equalize them. */
export interface ChannelRanges {
  readonly name: string;
  readonly before: Spread;
  readonly after: Spread;
}

/** Spread over the channels of max - min on the calibration samples. */
export interface Spread {
  readonly median: number;
  readonly largest: number;
}

/**
 * Fewest samples, and tokens in them, that passes get statistics of. Passes ask how large channels are relative to each
 * other, which these tell as well as all samples: an int8 MobileBERT reaches 47.4 dB with 32 samples, 46.9 dB with 128
 * and 46.5 dB with 16.
 */
const MIN_PASS_SAMPLES = 32;
const MIN_PASS_TOKENS = 2048;

/** Most proof samples that are looked at for values beyond their ranges. */
const MOST_UNSEEN = 16;

export interface CalibrationOptions {
  readonly shape: ShapeOptions;
  /** Collects channels once more after passes, as plots show ranges before and after. */
  readonly outline: boolean;
  readonly run: Run;
}

/**
 * Collects statistics over the calibration samples and remembers them: a twin (see `twinShape`) of a graph that was
 * calibrated before gets the same numbers.
 */
export class CalibrationRuns {
  readonly #samples: SampleSets;
  readonly #pad: number;
  readonly #options: CalibrationOptions;
  /** Statistics of each node, one entry for each run over the samples. */
  readonly #answers = new Map<string, NodeStatistics[]>();
  /** Number of runs over the samples so far by what they are for: progress that began at 0 again would look stuck. */
  readonly #runs = new Map<string, number>();
  /** Spread of each node's channels, in the first run that collected them and in the last. */
  readonly #spreads = new Map<string, { readonly before: Spread; after: Spread | undefined }>();

  constructor(samples: SampleSets, pad: number, options: CalibrationOptions) {
    this.#samples = samples;
    this.#pad = pad;
    this.#options = options;
  }

  /** The function that passes ask for statistics; undefined without samples, so that they do without. */
  collector(): CollectForPasses | undefined {
    const { calibration } = this.#samples;
    if (calibration.length === 0) return undefined;
    const first = firstOf(calibration);
    return (graph, requests, samples) =>
      this.#remembered(graph, requests, samples === 'all' ? calibration : first, 'measuring channels for passes');
  }

  /**
   * The function that passes on a twin ask: a node that is asked for n times gets the n answers that the first graph
   * got.
   */
  replay(): CollectForPasses | undefined {
    if (this.#samples.calibration.length === 0) return undefined;
    const asked = new Map<string, number>();
    return async (graph, requests) => {
      const answers = new Map<string, NodeStatistics>();
      const unknown: StatisticsRequest[] = [];
      for (const request of requests) {
        const { name } = request.node;
        const time = asked.get(name) ?? 0;
        asked.set(name, time + 1);
        const answer = this.#answers.get(name)?.[time];
        if (answer && answersRequest(answer, request)) answers.set(name, answer);
        else unknown.push(request);
      }
      if (unknown.length === 0) return answers;
      return new Map([
        ...answers,
        ...(await this.#collect(graph, unknown, this.#samples.calibration, 'calibrating a fixed length')),
      ]);
    };
  }

  /** Collects statistics over all calibration samples, and remembers them. */
  collect(graph: Graph, requests: readonly StatisticsRequest[]): Promise<Statistics> {
    return this.#remembered(graph, requests, this.#samples.calibration, 'calibrating');
  }

  async #remembered(
    graph: Graph,
    requests: readonly StatisticsRequest[],
    rows: readonly TokenRow[],
    step: string,
  ): Promise<Statistics> {
    const wanted = this.#options.outline ? requests.map((request) => this.#again(request)) : requests;
    const statistics = await this.#collect(graph, wanted, rows, step);
    for (const [name, answer] of statistics) {
      this.#answers.set(name, [...(this.#answers.get(name) ?? []), answer]);
      if (!answer.channels) continue;
      const spread = spreadOf(answer.channels);
      const known = this.#spreads.get(name);
      if (known) known.after = spread;
      else this.#spreads.set(name, { before: spread, after: undefined });
    }
    return statistics;
  }

  /**
   * Collects from the calibration samples that are not validation samples as well, so that validation can judge what
   * they say; `count` is their number. Nothing is remembered of them.
   */
  apart(): { readonly collect: Collect; readonly count: number } {
    const validation = new Set(this.#samples.validation);
    const rows = this.#samples.calibration.filter((row) => !validation.has(row));
    return {
      collect: (graph, requests) => this.#collect(graph, requests, rows, 'measuring what linears read'),
      count: rows.length,
    };
  }

  /**
   * Collects from some of the proof samples, those that are not calibration samples as well; `count` is their number.
   * Nothing is remembered of them.
   */
  unseen(): { readonly collect: Collect; readonly count: number } {
    const seen = new Set(this.#samples.calibration);
    const rows = this.#samples.proof.filter((row) => !seen.has(row)).slice(0, MOST_UNSEEN);
    return {
      collect: (graph, requests) => this.#collect(graph, requests, rows, 'looking for values beyond their ranges'),
      count: rows.length,
    };
  }

  /**
   * Distributions of what a graph computes on the first samples, for plots; undefined without samples, and where values
   * are no numbers. Nothing is remembered of them.
   */
  async distributions(graph: Graph): Promise<ReadonlyMap<string, Distribution> | undefined> {
    const rows = this.#samples.calibration.slice(0, PLOTTED_SAMPLES);
    if (rows.length === 0) return undefined;
    const { run } = this.#options;
    try {
      return await distributionsOf(graph, rows, { ...this.#padding(), progress: within(run, 'counting values') });
    } catch (cause) {
      if (!(cause instanceof MbertError)) throw cause;
      run.note(`${cause.message}: the report has no histograms of values`);
      return undefined;
    }
  }

  /** How samples are padded for graphs of this length. */
  #padding(): { readonly pad: number; readonly length?: number } {
    const { sequenceLength } = this.#options.shape;
    return { pad: this.#pad, ...(typeof sequenceLength === 'number' && { length: sequenceLength }) };
  }

  #collect(
    graph: Graph,
    requests: readonly StatisticsRequest[],
    rows: readonly TokenRow[],
    step: string,
  ): Promise<Statistics> {
    const { run } = this.#options;
    const times = (this.#runs.get(step) ?? 0) + 1;
    this.#runs.set(step, times);
    const name = times === 1 ? step : `${step}, run ${times}`;
    run.progress(name, 0, rows.length);
    return collectStatistics(graph, requests, rows, { ...this.#padding(), progress: within(run, name) });
  }

  /** Asks for a node's channels again where they were collected before, as passes between two runs change them. */
  #again(request: StatisticsRequest): StatisticsRequest {
    return this.#spreads.has(request.node.name) ? { ...request, channels: true } : request;
  }

  /** Ranges of the values whose channels were collected more than once, in the order of the first time. */
  channelRanges(): ChannelRanges[] {
    return [...this.#spreads].flatMap(([name, { before, after }]) => (after ? [{ name, before, after }] : []));
  }
}

function answersRequest(answer: NodeStatistics, { channels, histogram, gram }: StatisticsRequest): boolean {
  return (!channels || !!answer.channels) && (!histogram || !!answer.histogram) && (!gram || !!answer.gram);
}

/** The first samples, as many as passes need. */
function firstOf(samples: readonly TokenRow[]): readonly TokenRow[] {
  let count = 0;
  for (let tokens = 0; count < samples.length && (count < MIN_PASS_SAMPLES || tokens < MIN_PASS_TOKENS); count++) {
    tokens += samples[count]?.inputIds.length ?? 0;
  }
  return samples.slice(0, count);
}

function spreadOf({ min, max }: ChannelStatistics): Spread {
  const widths = max.map((most, channel) => most - (min[channel] as number)).sort();
  return { median: widths[widths.length >> 1] ?? 0, largest: widths.at(-1) ?? 0 };
}
