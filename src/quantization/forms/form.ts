import type { Call, Graph } from '../../ir/graph.ts';
import type { Plan } from '../plan.ts';
import type { RangeMethod, Rounding, Scheme, Settings, SettingsMap } from '../settings.ts';
import type { Granularity, WeightBlocks } from '../weights.ts';

/** The options of a quantization that decide how a form treats each node. */
export interface FormRequest {
  readonly scheme: Scheme;
  /** The granularity of weights, where the scheme leaves a choice. */
  readonly granularity: Granularity;
  /** The blocks of weights, where granularity is `block`. Default: what every runtime has. */
  readonly blocks?: WeightBlocks;
  readonly rounding: Rounding;
  readonly range: RangeMethod;
  /**
   * Whether linears of an integer graph find the range of each token in each run, and attention stays float, where no
   * recipe says otherwise: a calibrated range for all tokens gains nothing where norms and GELUs of floats stand between
   * all linears, and is less exact.
   */
  readonly isDynamic?: boolean;
  /** Whether the graph's outputs stay integers. */
  readonly integerOutputs: boolean;
}

/** A way to compute a model on integers: which of its values are stored how. */
export interface Form {
  readonly name: string;
  /** A line for reports and docs. */
  readonly summary: string;
  /** Whether the form is for targets that compute on integers only. */
  readonly isStrict?: boolean;
  /** Says how a node is computed where no recipe speaks of it; undefined for a node that cannot be quantized. */
  settingsOf(node: Call, request: FormRequest): Settings | undefined;
  /** Plans which values become integers under these settings. */
  plan(graph: Graph, settings: SettingsMap, request: FormRequest): Plan;
}
