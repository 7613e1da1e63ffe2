import type { RangeMethod, Rounding, Scheme } from '../quantization/settings.ts';
import type { TargetName } from '../quantization/targets.ts';
import type { Granularity } from '../quantization/weights.ts';

/** Options of quantization after training. */
export interface QuantizationOptions {
  /** Storage of weights and activations. */
  readonly scheme: Scheme;
  /**
   * Name of the target profile: where the file will run. Default `cpu`; `ort` writes operators that only ONNX Runtime
   * has.
   */
  readonly target?: TargetName | undefined;
  /** Method by which the range of an activation is chosen from what calibration saw. Default `minmax`. */
  readonly range?: RangeMethod | undefined;
  /** Number of scales of a weight. Default: what the target runs fastest. `block` is for w4, on `ort` for dynamic too. */
  readonly granularity?: Granularity | undefined;
  /**
   * Rounding of weights to integers. Default: `gptq` with `calibrate` for w4 and int16x8, for dynamic on `ort`, and for
   * int8 and dynamic where loud channels were smoothed, used where held-out texts are better for it; else `nearest`.
   */
  readonly rounding?: Rounding | undefined;
  /**
   * Lets biases compensate for the shift that rounding causes in the mean of each output, where held-out texts are
   * better for it.
   */
  readonly biasCorrection?: boolean | undefined;
  /**
   * Fits each linear of a w4 file anew behind the rounded ones before it, where held-out texts are better for it. Needs
   * `calibrate`, and takes more time than everything else together.
   */
  readonly refit?: boolean | undefined;
  /** A JSON file of rules for single nodes, see `parseRecipe`. */
  readonly recipe?: string | undefined;
  /** Measures which linears to keep in higher precision. Default true. */
  readonly scan?: boolean | undefined;
  /** Type of the outputs, TFLite only: `int8` leaves them integers. Default `f32`. */
  readonly io?: 'f32' | 'int8' | undefined;
}
