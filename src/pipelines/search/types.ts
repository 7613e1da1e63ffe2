import type { EvidenceOptions } from '../../options/evidence.ts';
import type { ModelOptions } from '../../options/model.ts';
import type { RunOptions } from '../../options/run.ts';
import type { Target } from '../../passes/index.ts';
import type { SampleManifest } from '../../samples/open-samples.ts';
import type { Shard } from '../batch/jobs.ts';
import type { SpeedResult } from '../evaluate/compare-speed.ts';
import type { HeldOut } from '../fit/types.ts';
import type { SearchForm } from './storage.ts';

/** Options of `search`. */
export interface SearchOptions extends Pick<ModelOptions, 'task'>, RunOptions, Omit<EvidenceOptions, 'maxDrop'> {
  /** The teacher: a checkpoint, model file or folder of any known format. */
  readonly source: string;
  /** A folder that gets the models, the scores and the table of times. */
  readonly output: string;
  /** Largest sizes of the files in bytes, one model each. */
  readonly budgets?: readonly number[] | undefined;
  /** Largest times of a run as shares of the teacher's, 0 … 1, one model each. */
  readonly latencyRatios?: readonly number[] | undefined;
  /** Number of budgets, evenly spread between the smallest and the largest that are given. Default: those alone. */
  readonly count?: number | undefined;
  /** Ways to store the models, of which each budget gets the best. Default: f32, f16 and dynamic for sizes, f32 for times. */
  readonly forms?: readonly string[] | undefined;
  /** Names of nodes of which nothing is cut; their weights are fitted anew as all are. */
  readonly keep?: RegExp | undefined;
  /** Format of the models. Default `onnx`. */
  readonly fileFormat?: Target | undefined;
  /** Scores one part of the candidates and ends. */
  readonly shard?: Shard | undefined;
  /** Takes the scores of all parts from the folder in place of scoring. Default false. */
  readonly merge?: boolean | undefined;
  /** Replaces files that mbert did not write. Default false. */
  readonly force?: boolean | undefined;
}

/** What a model may take: bytes, or a share of the time of the teacher's float file. */
export type Budget =
  | { readonly kind: 'size'; readonly bytes: number }
  | { readonly kind: 'latency'; readonly ratio: number };

/** What became of a layer of the teacher. */
export interface LayerSummary {
  readonly layer: number;
  readonly kind: 'cut' | 'linear' | 'dropped';
  /** True where NoNorm and ReLU took the places of its LayerNorms and GELUs. */
  readonly isConverted: boolean;
  /** Heads and neurons that are left of each group; empty where the layer is gone. */
  readonly groups: readonly {
    readonly kind: 'heads' | 'neurons';
    readonly kept: number;
    readonly count: number;
  }[];
  /** Bits of its weights in a file of `mixed`; null elsewhere, and where the layer is gone. */
  readonly bits: 4 | 8 | null;
}

/** A model that was found for a budget. */
export interface FoundModel {
  readonly budget: Budget;
  /** Path of its file. */
  readonly path: string;
  readonly form: SearchForm;
  /** Size of its files in bytes, as written. */
  readonly bytes: number;
  /** Its time beside that of the teacher's float file, both measured in turns. */
  readonly speed: SpeedResult;
  /** Counted operations of a run as a share of the teacher's. */
  readonly operations: number;
  /** Error of its answers on the texts that models are chosen by, as a sum over its blocks by themselves and its form. */
  readonly expectedNoise: number;
  /**
   * Σ error² / Σ answer² on the texts that models are chosen by: measured on the whole fitted model in floats, plus what
   * its form and its layers of 4 bits add, measured on the teacher.
   */
  readonly noise: number;
  /** The written file beside the teacher on texts that nothing was fitted to or chosen by; undefined where there are none. */
  readonly heldOut: HeldOut | undefined;
  readonly layers: readonly LayerSummary[];
  /** Columns of a narrow word table; null where it is as the teacher has it. */
  readonly wordColumns: number | null;
  /** True where no other model is as small, as fast and as good. */
  readonly isOnFront: boolean;
}

/** A budget that no model met. */
export interface MissedBudget {
  readonly budget: Budget;
  readonly reason: string;
}

/** Result of a search. */
export interface SearchResult {
  readonly source: string;
  readonly output: string;
  /** Size of its float file in bytes, null where one part was scored alone, and counted operations of a run. */
  readonly teacher: { readonly bytes: number | null; readonly operations: number };
  /** Number of candidates of all blocks. */
  readonly candidates: number;
  /** Part that was scored, where the call was for one; there are no models then. */
  readonly shard: (Shard & { readonly scored: number; readonly path: string }) | undefined;
  readonly models: readonly FoundModel[];
  readonly missed: readonly MissedBudget[];
  readonly calibration: SampleManifest | undefined;
  readonly warnings: readonly string[];
}
