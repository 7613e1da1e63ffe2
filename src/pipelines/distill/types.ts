import type { Task } from '../../models/index.ts';
import type { EvidenceOptions } from '../../options/evidence.ts';
import type { RunOptions } from '../../options/run.ts';
import type { StepCount } from '../../options/step-count.ts';
import type { SampleManifest } from '../../samples/open-samples.ts';
import type { View } from '../../samples/views.ts';
import type { LayerPair } from '../evaluate/layer-map.ts';
import type { HeldOut } from '../fit/types.ts';
import type { Strategy } from '../training/stages.ts';
import type { CurvePoint } from '../training/types.ts';

/** Options of `distill`. */
export interface DistillOptions extends RunOptions, Omit<EvidenceOptions, 'calibrate' | 'maxDrop'> {
  /** A checkpoint or a model file. */
  readonly student: string;
  /** A checkpoint or a model file over the same vocabulary. */
  readonly teacher: string;
  /** Texts to learn from: lines, TSV, CSV, JSON, JSON lines or token files. */
  readonly texts: string;
  /** A new or empty folder that gets the student as a Hugging Face checkpoint, or a .tflite or .onnx file. */
  readonly output: string;
  /** Steps of 32 texts. */
  readonly steps: StepCount;
  readonly task?: Task | undefined;
  /** Which layer teaches which: `uniform`, `last`, `first`, `N:M`, a JSON file, or `none`. Default `uniform`. */
  readonly layerMap?: string | undefined;
  /** Default `auxiliary`. */
  readonly strategy?: Strategy | undefined;
  /** What the student sees of a text, in turns. Default `full`. */
  readonly views?: readonly View[] | undefined;
  /** Whether the labels of the texts are learnt from as well. Default false. */
  readonly labels?: boolean | undefined;
  /** The highest rate of learning. Default 2e-4. */
  readonly rate?: number | undefined;
  /** Goes on from the state that an interrupted call left beside the output. Default false. */
  readonly resume?: boolean | undefined;
  /** Steps after which the state is saved, again and again; 0 to leave none, not even at a signal. Default 200. */
  readonly checkpointEvery?: number | undefined;
}

/** A trained student, and what it is worth beside its teacher. */
export interface DistillResult {
  readonly student: string;
  readonly teacher: string;
  readonly files: readonly { readonly path: string; readonly size: number }[];
  readonly strategy: Strategy;
  readonly views: readonly View[];
  /** Layers that were compared; empty where answers were alone. */
  readonly layers: readonly LayerPair[];
  /** Number of layers whose values are mapped by a trained linear to compare them, as they differ in width or in scale. */
  readonly projections: number;
  /** What was compared when, with the number of steps. */
  readonly stages: readonly { readonly name: string; readonly steps: number }[];
  readonly steps: number;
  /** Texts of a step. */
  readonly batch: number;
  /** Number of texts that were drawn from, and of those with a label that was learnt from. */
  readonly texts: number;
  readonly labelled: number;
  /** The student beside its teacher on texts that it did not learn from, single and joined, on the way. */
  readonly watched: { readonly samples: number; readonly curve: readonly CurvePoint[] };
  /** The student beside its teacher on other held-out texts; undefined where there are none. */
  readonly before: HeldOut | undefined;
  readonly after: HeldOut | undefined;
  readonly source: SampleManifest | undefined;
  readonly warnings: readonly string[];
}
