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

/** What a genetic search takes for the fitness of a map. */
export const FITNESS = ['error', 'distill'] as const;
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
   * Of `genetic`: the mean error, or the noise in the answers after a short distillation with the map. Default `error`.
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
  /** Mean error of the teacher's layers as linear functions of the student's, on held-out text. */
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
  /** Errors by layer of the student, then of the teacher. */
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
  /** The fitness of the map that was found; less is better. */
  readonly score: number;
  /** Number of different maps that were scored. */
  readonly scored: number;
  /** Maps that were tried by distillation, in order; empty for `error`. */
  readonly trials: readonly Trial[];
}
