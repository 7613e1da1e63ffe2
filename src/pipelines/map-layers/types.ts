import type { EvidenceOptions } from '../../options/evidence.ts';
import type { RunOptions } from '../../options/run.ts';
import type { SampleManifest } from '../../samples/open-samples.ts';
import type { Trial } from './distill-trials.ts';

/** Ways in which layers of a student are mapped to those of a teacher. */
export const MAPPINGS = ['best', 'greedy', 'uniform', 'last'] as const;
export type Mapping = (typeof MAPPINGS)[number];

/** Ways that can be asked for: those, or a search. */
export const METHODS = [...MAPPINGS, 'genetic'] as const;
export type Method = (typeof METHODS)[number];

/** What makes a map a good one: layers that do the same, layers that give the same, or answers after a distillation. */
export const FITNESS = ['function', 'error', 'distill'] as const;
export type Fitness = (typeof FITNESS)[number];

/** Options of `mapLayers`. */
export interface MapLayersOptions
  extends RunOptions,
    Pick<EvidenceOptions, 'calibrate' | 'samples' | 'seed' | 'text' | 'pair'> {
  readonly teacher: string;
  readonly student: string;
  /** A .json file that gets the map of `method`. Default: none is written. */
  readonly output?: string | undefined;
  /** Default `best`. */
  readonly method?: Method | undefined;
  /**
   * Of `best` and `genetic`: what is made small, the mean error of layers as functions or that of their values; of
   * `genetic` also the noise in the answers after a short distillation with the map. Default `function`, or `error` where
   * the models' layers cannot be run by themselves.
   */
  readonly fitness?: Fitness | undefined;
  /** Of `genetic`: maps of a generation. Default 12. */
  readonly population?: number | undefined;
  /** Of `genetic`: number of generations, with the first. Default 10. */
  readonly generations?: number | undefined;
  /** Of `distill`: steps of each distillation. Default 40. */
  readonly steps?: number | undefined;
  /** Of `distill`: processes that run at once. Default 1. */
  readonly jobs?: number | undefined;
  /** Of `distill`: goes on where an interrupted call with the same options stopped. Default false. */
  readonly resume?: boolean | undefined;
  /** Of `distill`: program and first arguments that run mbert. */
  readonly program?: readonly [string, ...string[]] | undefined;
}

/** One way to map layers, and how well it does. */
export interface LayerMapping {
  readonly method: Method;
  /** The teacher's layer of each of the student's. */
  readonly map: readonly number[];
  /** Mean difference of what the layers add to the same values; null where they cannot be run by themselves. */
  readonly functionError: number | null;
  /** Mean error of the values of the teacher's layers as linears of the student's, on held-out text. */
  readonly error: number;
  /** Mean centred kernel alignment. */
  readonly alignment: number;
}

/** Result of `mapLayers`. */
export interface LayerMappings {
  readonly teacher: string;
  readonly student: string;
  readonly method: Method;
  readonly mappings: readonly LayerMapping[];
  /** What `best` makes small. */
  readonly fitness: Exclude<Fitness, 'distill'>;
  /** Differences of layers as functions, by layer of the student, then of the teacher; null where they cannot be run. */
  readonly functionErrors: readonly (readonly number[])[] | null;
  /** Errors of values by layer of the student, then of the teacher. */
  readonly errors: readonly (readonly number[])[];
  /** Alignments by layer of the student, then of the teacher. */
  readonly alignments: readonly (readonly number[])[];
  /** How the search went; absent for other methods. */
  readonly search?: SearchSummary;
  readonly calibration: SampleManifest | undefined;
  readonly warnings: readonly string[];
}

/** How a search went. */
export interface SearchSummary {
  readonly fitness: Fitness;
  /** How far from perfect the map is by that; less is better. */
  readonly score: number;
  /** Number of different maps that were scored. */
  readonly scored: number;
  /** Maps that were tried by distillation, in order; empty for the others. */
  readonly trials: readonly Trial[];
}
