import type { GraphOutline } from '../../opened/outline.ts';
import type { EvidenceOptions } from '../../options/evidence.ts';
import type { ModelOptions } from '../../options/model.ts';
import type { PassOptions } from '../../options/passes.ts';
import type { QuantizationOptions } from '../../options/quantization.ts';
import type { ObserveOptions, RunOptions } from '../../options/run.ts';
import type { ShapeOptions } from '../../options/shape.ts';
import type { Times } from '../../options/stopwatch.ts';
import type { WritingOptions } from '../../options/writing.ts';
import type { NodeScheme, Scheme } from '../../quantization/settings.ts';
import type { Proof } from '../evaluate/compare-files.ts';
import type { FitReport } from '../fit/types.ts';
import type { WrittenResult } from '../fit/written-result.ts';
import type { WrittenFile } from '../write/write-model.ts';
import type { ChannelRanges } from './calibration-runs.ts';
import type { BiasTrial, RoundingTrial } from './decision.ts';
import type { ParetoRow, ScanResult } from './scan.ts';

export interface QuantizeOptions
  extends ModelOptions,
    ShapeOptions,
    PassOptions,
    WritingOptions,
    EvidenceOptions,
    QuantizationOptions,
    RunOptions,
    ObserveOptions {
  /** A checkpoint, model file or folder of any known format. */
  readonly source: string;
  /** A .tflite or .onnx file, or a folder that gets one of each. */
  readonly output: string;
  /** Where to write the settings of every node as a recipe. */
  readonly dumpRecipe?: string | undefined;
  /** Bytes that the file may have. */
  readonly maxSize?: number | undefined;
  /** Adds what a picture and plots need: the written graph as plain data, ranges of channels. */
  readonly outline?: boolean | undefined;
  /** Hears what passes that change the function cost, before anything is written. */
  readonly changed?: ((report: FitReport) => void) | undefined;
}

/** One written quantized model. */
export interface QuantizedFile extends WrittenFile {
  readonly scheme: Scheme;
  /** The form's name; `f16` for stored halves. */
  readonly form: string;
  /** Bytes of all weights before they were quantized. */
  readonly floatBytes: number;
  /** Linears by how they compute, e.g. `int8`: 134. */
  readonly linears: { readonly [scheme: string]: number };
  /** Linears whose values stand out; undefined where none does or none was looked for. */
  readonly scan: (Omit<ScanResult, 'keep'> & { readonly keptAs: NodeScheme }) | undefined;
  /** What compensated rounding was worth, where it was tried. */
  readonly rounding: RoundingTrial | undefined;
  /** What corrected biases were worth, where they were tried. */
  readonly biasCorrection: BiasTrial | undefined;
  readonly pareto: readonly (ParetoRow & { readonly chosen: boolean })[] | undefined;
  readonly proof: Proof | undefined;
  readonly times: Times;
  /** Why the answer is no; empty where every gate is passed. */
  readonly failures: readonly string[];
  readonly warnings: readonly string[];
  /** The graph as it is in the file, where it was asked for. */
  readonly outline?: GraphOutline;
  /** The graph before any pass, where it was asked for. */
  readonly sourceOutline?: GraphOutline;
  /** Ranges of residual streams and whatever else was calibrated by channel; where it was asked for and there are samples. */
  readonly channels?: readonly ChannelRanges[];
}

export type QuantizeResult = WrittenResult<QuantizedFile>;
