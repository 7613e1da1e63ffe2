import type { Call, Graph, Node } from '../../ir/graph.ts';
import type { Statistics } from '../../ir/statistics.ts';
import type { Run } from '../../options/run.ts';
import type { Form, FormRequest } from '../../quantization/forms/form.ts';
import { isCall, type Plan } from '../../quantization/plan.ts';
import { chooseQuants } from '../../quantization/ranges.ts';
import { type MeanOf, rebuild, type WeightRounding } from '../../quantization/rebuild.ts';
import type { RecipeRule } from '../../quantization/recipe.ts';
import { roundForReaders } from '../../quantization/rounding.ts';
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
import type { ScanResult } from './scan.ts';
import { withTrial } from './trial.ts';

/** What compensated rounding was worth on the trial samples: 10·log10(Σ answer² / Σ error²) of the answers. */
export interface RoundingTrial {
  readonly used: Rounding;
  readonly samples: number;
  readonly gptqDb: number;
  readonly nearestDb: number;
}

/** The same of corrected biases. */
export interface BiasTrial {
  readonly used: boolean;
  readonly samples: number;
  readonly correctedDb: number;
  readonly plainDb: number;
}

/** What a decision is made by. */
export interface DecideOptions {
  readonly form: Form;
  readonly request: FormRequest;
  readonly recipe: { readonly path: string; readonly rules: readonly RecipeRule[] } | undefined;
  /** True for nodes that the user wants left as they are (`--keep`). */
  readonly keeps: (node: Node) => boolean;
  readonly samples: SampleSets;
  readonly feeds: FeedOptions;
  readonly collect: Collect;
  /** Statistics of calibration samples that no trial runs on, and how many there are; nothing of them is remembered. */
  readonly collectApart: { readonly collect: Collect; readonly count: number };
  readonly biasCorrection: boolean;
  /** False where compensated rounding is the default and nobody named it. */
  readonly isRoundingAsked: boolean;
  /** What a linear becomes that is kept in higher precision. */
  readonly fallback: NodeScheme;
  readonly scan: boolean;
  readonly run: Run;
}

/** Fewer samples say nothing of how hundreds of channels go together. */
export const LEAST_FITTED_SAMPLES = 16;

/** What the samples say. */
export interface KnownValues {
  readonly statistics: Statistics;
  readonly weights: CompensatedWeights;
  /** Of what linears read, where their biases make up for rounding. */
  readonly means: Statistics | undefined;
}

/** How every node of a float graph will be stored, and what is known of its values. */
export interface Decision extends KnownValues {
  readonly graph: Graph;
  readonly settings: SettingsMap;
  /** Undefined where it was not tried. */
  readonly rounding: RoundingTrial | undefined;
  readonly biasCorrection: BiasTrial | undefined;
  readonly scan: ScanResult | undefined;
  readonly warnings: readonly string[];
}

/**
 * The settings with these nodes kept in higher precision. Where only their weights stay integers these are worth fitting to
 * what they read, as it stands out: on a MiniLM nearest integers cost 3 dB of 36.
 */
export function withKept(
  settings: SettingsMap,
  nodes: readonly Call[],
  { fallback, collectApart }: Pick<DecideOptions, 'fallback' | 'collectApart'>,
): Map<Call, Settings> {
  const isFitted = fallback === 'w8' && collectApart.count >= LEAST_FITTED_SAMPLES;
  const changed = new Map(settings);
  for (const node of nodes) {
    const known = settings.get(node) as Settings;
    changed.set(node, { ...known, scheme: fallback, rounding: isFitted ? 'gptq' : known.rounding });
  }
  return changed;
}

/** How a plan's weights become integers, and its biases make up for that. */
function roundingOptions({ graph, settings }: Plan, { weights, means }: KnownValues) {
  const roundWeight: WeightRounding = roundForReaders(graph, (node, _, options) =>
    isCompensated(node, settings.get(node)) ? weights.get(node, options) : undefined,
  );
  const meanOf: MeanOf = ({ inputs: [x] }) => x && means?.get(x.name)?.channels?.mean;
  return { roundWeight, ...(means && { meanOf }) };
}

export function trialOptions(plan: Plan, known: KnownValues, options: DecideOptions) {
  return {
    plan,
    quants: chooseQuants(plan, known.statistics),
    ...roundingOptions(plan, known),
    ...options.feeds,
    rows: options.samples.trial,
  };
}

/** Everything that a plan rounds against the float model, on the trial samples. */
export function trialDb(plan: Plan, known: KnownValues, options: DecideOptions): Promise<number> {
  return withTrial({ ...trialOptions(plan, known, options), groups: [] }, async (trial) => {
    return (await trial.measure([0], 'float')).sqnrDb;
  });
}

/** The quantized graph that a decision makes of its float graph, or of a twin with the same names. */
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
