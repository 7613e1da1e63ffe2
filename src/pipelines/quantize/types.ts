import type { GraphOutline } from '../../opened/outline.ts';
import type { NodeScheme, RangeMethod, Rounding, Scheme } from '../../quantization/settings.ts';
import type { Granularity } from '../../quantization/weights.ts';
import type { ConvertedFile, ConvertOptions, ConvertResult } from '../convert/convert.ts';
import type { Proof } from '../evaluate/compare-files.ts';
import type { Times } from '../evaluate/stopwatch.ts';
import type { BiasTrial, RoundingTrial } from './decision.ts';
import type { ParetoRow, ScanResult } from './scan.ts';

export interface QuantizeOptions extends ConvertOptions {
  readonly scheme: Scheme;
  /** Where it will run; default cpu. */
  readonly target?: string | undefined;
  /** A file of texts; int8 and int16x8 need one. */
  readonly calibrate?: string | undefined;
  /** How many of its texts, from the first one; default 128. */
  readonly samples?: number | undefined;
  /** Shuffles the texts first. */
  readonly seed?: number | undefined;
  /** Held-out texts, with labels or without; default: what the calibration file has left. */
  readonly data?: string | undefined;
  readonly range?: RangeMethod | undefined;
  /** How many scales a weight has; default: what the target runs fastest. `block` is for w4. */
  readonly granularity?: Granularity | undefined;
  /** How weights become integers. Default: `gptq` for w4 with `calibrate`, used where held-out texts say that it is better. */
  readonly rounding?: Rounding | undefined;
  /** Biases make up for what rounding does to the mean of each output, where held-out texts say that this is better. */
  readonly biasCorrection?: boolean | undefined;
  /** A JSON file of rules, see `parseRecipe`. */
  readonly recipe?: string | undefined;
  /** Where to write the settings of every node as a recipe. */
  readonly dumpRecipe?: string | undefined;
  /** Percentage points of accuracy or agreement that may be lost. */
  readonly maxDrop?: number | undefined;
  /** Bytes that the file may have. */
  readonly maxSize?: number | undefined;
  /** False: no linear is kept in higher precision by measurement. */
  readonly scan?: boolean | undefined;
  readonly allowOverlap?: boolean | undefined;
  /** int8: outputs stay integers. TFLite only. */
  readonly io?: 'f32' | 'int8' | undefined;
  /** Adds what a picture and plots need: the written graph as plain data, ranges of channels. */
  readonly outline?: boolean | undefined;
}

/** One written quantized model. */
export interface QuantizedFile extends ConvertedFile {
  readonly scheme: Scheme;
  /** The form's name; `f16` for stored halves. */
  readonly form: string;
  /** Of all weights before they were quantized. */
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
  /** Of residual streams and whatever else was calibrated by channel; where it was asked for and there are samples. */
  readonly channels?: readonly ChannelRanges[];
}

/** How far the ranges of a value's channels are apart, before and after passes that equalize them. */
export interface ChannelRanges {
  readonly name: string;
  readonly before: Spread;
  readonly after: Spread;
}

/** Of max - min of each channel, over the calibration samples. */
export interface Spread {
  readonly median: number;
  readonly largest: number;
}

export interface QuantizeResult extends Omit<ConvertResult, 'results'> {
  readonly results: readonly QuantizedFile[];
}
