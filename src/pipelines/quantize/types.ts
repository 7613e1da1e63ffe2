import type { OnnxNeeds } from '../../exporters/onnx/needs.ts';
import type { Distribution } from '../../metrics/distribution.ts';
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
import type { BiasComparison, RefitComparison, RoundingComparison } from './decision.ts';
import type { ParetoRow, ScanResult } from './scan.ts';

/** Options of `quantize`. */
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
  /** Path to write the settings of every node to, as a recipe. */
  readonly dumpRecipe?: string | undefined;
  /** Largest file that is allowed, in bytes. */
  readonly maxSize?: number | undefined;
  /** Adds what pictures and plots need: the written graph as plain data, ranges of channels. */
  readonly outline?: boolean | undefined;
  /** Called with what passes that change the function cost, before anything is written. */
  readonly changed?: ((report: FitReport) => void) | undefined;
}

/** One written quantized model. */
export interface QuantizedFile extends WrittenFile {
  readonly scheme: Scheme;
  /** Name of the form; `f16` for stored halves. */
  readonly form: string;
  /** Bytes of all weights before they were quantized. */
  readonly floatBytes: number;
  /** Number of linears by how they compute, e.g. `int8`: 134. */
  readonly linears: { readonly [scheme: string]: number };
  /** The scan of linears whose values have outliers; undefined where none has or none was looked for. */
  readonly scan: (Omit<ScanResult, 'keep'> & { readonly keptAs: NodeScheme }) | undefined;
  /** Effect of compensated rounding, where it was tried. */
  readonly rounding: RoundingComparison | undefined;
  /** Effect of corrected biases, where they were tried. */
  readonly biasCorrection: BiasComparison | undefined;
  /** Effect of fitting linears behind one another, where it was tried. */
  readonly refit: RefitComparison | undefined;
  /** Effect of keeping more linears in higher precision, where a gate asked for that. */
  readonly pareto: readonly (ParetoRow & { readonly chosen: boolean })[] | undefined;
  /** What runs the file where not every runtime of its format does: operators that are ONNX Runtime's own. */
  readonly needs: OnnxNeeds | undefined;
  /** Linears that got 8 bits in place of 4, those first that make most noise for their bytes. */
  readonly widened: readonly { readonly name: string; readonly sqnrDb: number; readonly addedBytes: number }[];
  /** Comparison with the float model; undefined without texts. */
  readonly proof: Proof | undefined;
  readonly times: Times;
  /** Reasons for exit code 1; empty where every gate is passed. */
  readonly failures: readonly string[];
  readonly warnings: readonly string[];
  /** The graph as it is in the file, where it was asked for. */
  readonly outline?: GraphOutline;
  /** Distributions of values on calibration texts, by name, until they are in the outline. */
  readonly distributions?: ReadonlyMap<string, Distribution> | undefined;
  /** The graph before any pass, where it was asked for. */
  readonly sourceOutline?: GraphOutline;
  /**
   * Ranges of residual streams and whatever else was calibrated by channel; where it was asked for and there are
   * samples.
   */
  readonly channels?: readonly ChannelRanges[];
}

/** Result of `quantize`. */
export type QuantizeResult = WrittenResult<QuantizedFile>;
