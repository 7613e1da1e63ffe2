import type { PassChoice } from '../../options/passes.ts';
import type { Target } from '../../passes/index.ts';
import type { SampleManifest } from '../../samples/open-samples.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';
import type { Prepared } from '../write/prepare.ts';
import type { CalibrationRuns } from './calibration-runs.ts';

interface ReadSamples {
  readonly samples: SampleSets;
  readonly feeds: FeedOptions;
}

interface PreparedGraph {
  readonly calibration: CalibrationRuns;
  readonly prepared: Prepared;
}

/**
 * Work that several files of one model share: texts are read once for a format, and passes run and are calibrated once for
 * each list of them. A graph is only read behind its passes, so each file is what it is alone.
 */
export class SharedWork {
  readonly #samples = new Map<Target, Promise<ReadSamples>>();
  readonly #prepared = new Map<string, Promise<PreparedGraph>>();

  samples(format: Target, read: () => Promise<ReadSamples>): Promise<ReadSamples> {
    return remembered(this.#samples, format, read);
  }

  /** Description of the texts that were calibrated on for a format; undefined where there are none. */
  async calibrationOf(format: Target): Promise<SampleManifest | undefined> {
    return (await this.#samples.get(format))?.samples.manifest;
  }

  prepared(format: Target, passes: PassChoice, prepare: () => Promise<PreparedGraph>): Promise<PreparedGraph> {
    const names = passes.select(format).map(({ name }) => name);
    return remembered(this.#prepared, [format, ...names].join(), prepare);
  }
}

function remembered<K, V>(known: Map<K, Promise<V>>, key: K, make: () => Promise<V>): Promise<V> {
  const found = known.get(key) ?? make();
  known.set(key, found);
  return found;
}
