import type { Call, Graph, Node } from '../../ir/graph.ts';
import type { Statistics } from '../../ir/statistics.ts';
import type { Run } from '../../options/run.ts';
import type { Form, FormRequest } from '../../quantization/forms/form.ts';
import { isCall, type Plan } from '../../quantization/plan.ts';
import type { MeanOf, WeightRounding } from '../../quantization/plan-numbers.ts';
import { chooseQuants } from '../../quantization/ranges.ts';
import { rebuild } from '../../quantization/rebuild.ts';
import type { RecipeRule } from '../../quantization/recipe.ts';
import { roundForReaders } from '../../quantization/rounding.ts';
import { commonRows, withRowErrors } from '../../quantization/row-errors.ts';
import {
  isCompensated,
  type NodeScheme,
  type Rounding,
  type Settings,
  type SettingsMap,
} from '../../quantization/settings.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';
import type { Collect } from './calibration-runs.ts';
import type { CompensatedWeights } from './compensated-weights.ts';
import type { RefittedLinears } from './refitted-linears.ts';
import type { ScanResult } from './scan.ts';
import { type FloatAnswers, withSwitchedModel } from './switched-model.ts';

/**
 * Effect of compensated rounding on the validation samples: the SQNR of the answers in dB, 10·log10(Σ answer² / Σ
 * error²), with it and with nearest integers.
 */
export interface RoundingComparison {
  readonly used: Rounding;
  readonly samples: number;
  readonly gptqDb: number;
  readonly nearestDb: number;
}

/** Effect of corrected biases on the validation samples: the SQNR of the answers in dB, with them and without. */
export interface BiasComparison {
  readonly used: boolean;
  readonly samples: number;
  readonly correctedDb: number;
  readonly plainDb: number;
}

/**
 * Effect of fitting linears behind one another on the validation samples: the SQNR of the answers in dB, with it and
 * without.
 */
export interface RefitComparison {
  readonly used: boolean;
  readonly samples: number;
  readonly fittedDb: number;
  readonly plainDb: number;
}

/** Inputs of a decision. */
export interface DecideOptions {
  readonly form: Form;
  readonly request: FormRequest;
  readonly recipe: { readonly path: string; readonly rules: readonly RecipeRule[] } | undefined;
  /** True for nodes that the user wants left as they are (`--keep`). */
  readonly keeps: (node: Node) => boolean;
  readonly samples: SampleSets;
  readonly feeds: FeedOptions;
  /** What float graphs answered so far. */
  readonly floatAnswers: FloatAnswers;
  readonly collect: Collect;
  /**
   * Collects statistics of the calibration samples that are not validation samples as well, of which `count` is the
   * number; nothing of them is remembered.
   */
  readonly collectApart: { readonly collect: Collect; readonly count: number };
  /** Collects statistics of `count` samples that nothing is fitted to. */
  readonly collectUnseen: { readonly collect: Collect; readonly count: number };
  readonly biasCorrection: boolean;
  /** Whether linears are fitted behind one another, where that is better. */
  readonly refits: boolean;
  /** True where the user asked for compensated rounding, false where it is only the default. */
  readonly isRoundingAsked: boolean;
  /** The scheme of a linear that is kept in higher precision. */
  readonly fallback: NodeScheme;
  readonly scan: boolean;
  /** Largest file that is allowed, in bytes: as many linears as fit get 8 bits in place of 4. */
  readonly maxSize?: number | undefined;
  readonly run: Run;
}

/** Fewest samples that a rounding is fitted to: fewer say nothing about how hundreds of channels vary together. */
export const MIN_FITTED_SAMPLES = 16;

/** Values that were found on the calibration samples. */
export interface CalibratedValues {
  readonly statistics: Statistics;
  readonly weights: CompensatedWeights;
  /** Channel means of what linears read, where their biases compensate for rounding. */
  readonly means: Statistics | undefined;
  /** How often each token comes in the calibration samples, by its id; undefined without samples. */
  readonly tokenCounts: Float64Array | undefined;
  /** Linears that were fitted behind one another; undefined where each keeps what it computes. */
  readonly refitted: RefittedLinears | undefined;
}

/** A linear of 4 bits that may have 8, with what it makes and what 8 bits cost. */
export interface WidenedSite {
  readonly node: Call;
  /** Its settings with 4 bits. */
  readonly packed: Settings;
  /** Noise in the answers by rounding it alone to 4 bits: Σ error² / Σ answer². */
  readonly noise: number;
  /** Bytes that 8 bits take more. */
  readonly addedBytes: number;
}

/** Storage of every node of a float graph, and what was calibrated of its values. */
export interface Decision extends CalibratedValues {
  readonly graph: Graph;
  readonly settings: SettingsMap;
  /** Effect of compensated rounding; undefined where it was not tried. */
  readonly rounding: RoundingComparison | undefined;
  readonly biasCorrection: BiasComparison | undefined;
  /** Effect of fitting linears behind one another; undefined where it was not tried. */
  readonly refit: RefitComparison | undefined;
  /** Apart from the others, as linears are fitted again where some of them lose their 8 bits. */
  readonly refitWarnings: readonly string[];
  readonly scan: ScanResult | undefined;
  /** Linears that got 8 bits in place of 4, those first that make most noise for their bytes. */
  readonly widened: readonly WidenedSite[];
  readonly warnings: readonly string[];
}

/**
 * The settings with these nodes kept in higher precision. Where only their weights stay integers, the weights are
 * fitted to their input, which has outliers: on a MiniLM nearest integers cost 3 dB of 36.
 */
export function withKept(
  settings: SettingsMap,
  nodes: readonly Call[],
  { fallback, collectApart }: Pick<DecideOptions, 'fallback' | 'collectApart'>,
): Map<Call, Settings> {
  const isFitted = fallback === 'w8' && collectApart.count >= MIN_FITTED_SAMPLES;
  const changed = new Map(settings);
  for (const node of nodes) {
    const own = settings.get(node) as Settings;
    changed.set(node, { ...own, scheme: fallback, rounding: isFitted ? 'gptq' : own.rounding });
  }
  return changed;
}

/** Options of `rebuild`: how a plan's weights become integers, and biases compensate for that. */
export function roundingOptions(
  { graph, settings }: Plan,
  { weights, means, tokenCounts, refitted }: CalibratedValues,
) {
  const roundOnce = roundForReaders(graph, (node, _, options) => {
    const fitted = refitted?.get(node.name);
    if (fitted) return fitted.weight;
    return isCompensated(node, settings.get(node)) ? weights.get(node, options) : undefined;
  });
  const roundWeight: WeightRounding = (node, weight, options) => {
    const rounded = roundOnce(node, weight, options);
    const rows = tokenCounts && commonRows(node, options, tokenCounts);
    return rows ? withRowErrors(weight.tensor, rounded, options, rows) : rounded;
  };
  const biasOf = ({ name }: Call) => refitted?.get(name)?.bias;
  const meanOf: MeanOf = ({ inputs: [x] }) => x && means?.get(x.name)?.channels?.mean;
  return { roundWeight, biasOf, ...(means && { meanOf }) };
}

/** Options of a switched model of a plan that runs on the validation samples. */
export function switchOptionsOf(plan: Plan, calibrated: CalibratedValues, options: DecideOptions) {
  return {
    plan,
    quants: chooseQuants(plan, calibrated.statistics),
    ...roundingOptions(plan, calibrated),
    ...options.feeds,
    floatAnswers: options.floatAnswers,
    rows: options.samples.validation,
  };
}

/**
 * SQNR of the answers in dB on the validation samples, with everything rounded that a plan rounds, against the float
 * model.
 */
export function validationDb(plan: Plan, calibrated: CalibratedValues, options: DecideOptions): Promise<number> {
  return withSwitchedModel({ ...switchOptionsOf(plan, calibrated, options), groups: [] }, async (model) => {
    return (await model.measure([0], 'float')).sqnrDb;
  });
}

/**
 * Builds the quantized graph of a decision from its float graph, or from a twin (see `twinShape`) with the same names.
 */
export async function build(
  decision: Decision,
  { form, request }: DecideOptions,
  graph: Graph = decision.graph,
): Promise<Graph> {
  const byName = new Map([...decision.settings].map(([node, settings]) => [node.name, settings]));
  const settings = new Map<Call, Settings>();
  for (const node of graph.nodes()) {
    const found = byName.get(node.name);
    if (found && isCall(node)) settings.set(node, found);
  }
  const plan = form.plan(graph, settings, request);
  const quants = chooseQuants(plan, decision.statistics);
  await decision.weights.prepare(plan, quants);
  const { integerOutputs } = request;
  return rebuild(plan, { quants, integerOutputs, ...roundingOptions(plan, decision) });
}
