import type { RangeMethod, Rounding, Scheme } from '../quantization/settings.ts';
import type { Granularity } from '../quantization/weights.ts';

/** How a model is quantized after training. */
export interface QuantizationOptions {
  readonly scheme: Scheme;
  /** Where it will run. Default cpu. */
  readonly target?: string | undefined;
  /** How the range of an activation is chosen from what calibration saw. Default minmax. */
  readonly range?: RangeMethod | undefined;
  /** How many scales a weight has. Default: what the target runs fastest. `block` is for w4. */
  readonly granularity?: Granularity | undefined;
  /** How weights become integers. Default: `gptq` for w4 with `calibrate`, used where held-out texts say that it is better. */
  readonly rounding?: Rounding | undefined;
  /** Biases make up for what rounding does to the mean of each output, where held-out texts say that this is better. */
  readonly biasCorrection?: boolean | undefined;
  /** A JSON file of rules for single nodes, see `parseRecipe`. */
  readonly recipe?: string | undefined;
  /** False: no linear is kept in higher precision by measurement. */
  readonly scan?: boolean | undefined;
  /** int8: outputs stay integers. TFLite only. */
  readonly io?: 'f32' | 'int8' | undefined;
}
