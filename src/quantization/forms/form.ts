import type { Call, Graph } from '../../ir/graph.ts';
import type { Plan } from '../plan.ts';
import type { RangeMethod, Rounding, Scheme, Settings, SettingsMap } from '../settings.ts';
import type { Granularity } from '../weights.ts';

/** What is asked of a form. */
export interface FormRequest {
  readonly scheme: Scheme;
  /** Of weights, where the scheme leaves a choice. */
  readonly granularity: Granularity;
  readonly rounding: Rounding;
  readonly range: RangeMethod;
  /** The graph's outputs stay integers. */
  readonly integerOutputs: boolean;
}

/** One way to compute a model on integers: which of its values are stored how. */
export interface Form {
  readonly name: string;
  /** One line, for reports and docs. */
  readonly summary: string;
  /** For targets that compute on integers only. */
  readonly isStrict?: boolean;
  /** How a node is computed where no recipe speaks of it; undefined for a node that cannot be quantized. */
  settingsOf(node: Call, request: FormRequest): Settings | undefined;
  plan(graph: Graph, settings: SettingsMap, request: FormRequest): Plan;
}
