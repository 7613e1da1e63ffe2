import { MbertError } from '../../errors.ts';
import type { Call, Graph, Node } from '../../graph.ts';
import type { Form, FormRequest } from '../../quantize/forms/form.ts';
import { classesOf, isCall, observedNodes, type Plan } from '../../quantize/plan.ts';
import { chooseQuants, needsHistogram } from '../../quantize/ranges.ts';
import { type RebuildOptions, rebuild } from '../../quantize/rebuild.ts';
import { applyRecipe, type RecipeRule } from '../../quantize/recipe.ts';
import { roundForReaders } from '../../quantize/rounding.ts';
import {
  hasWeight,
  isTable,
  type NodeScheme,
  type Scheme,
  type Settings,
  type SettingsMap,
} from '../../quantize/settings.ts';
import type { Statistics, StatisticsRequest } from '../../statistics.ts';
import type { SampleSets } from './samples.ts';
import { type ScanResult, scanOutstanding } from './scan.ts';
import type { FeedOptions } from './session.ts';
import type { Stopwatch } from './stopwatch.ts';
import { withTrial } from './trial.ts';

export type Collect = (graph: Graph, requests: readonly StatisticsRequest[]) => Promise<Statistics>;

export interface DecideOptions extends FeedOptions {
  readonly form: Form;
  readonly request: FormRequest;
  readonly recipe: { readonly path: string; readonly rules: readonly RecipeRule[] } | undefined;
  readonly keep: RegExp | undefined;
  readonly samples: SampleSets;
  readonly collect: Collect;
  /** What a linear becomes that is kept in higher precision. */
  readonly fallback: NodeScheme;
  readonly scan: boolean;
  readonly stopwatch: Stopwatch;
  readonly progress: (step: string, done?: number, total?: number) => void;
}

/** How every node of a float graph will be stored, and what is known of its values. */
export interface Decision {
  readonly graph: Graph;
  readonly settings: SettingsMap;
  readonly statistics: Statistics;
  readonly scan: ScanResult | undefined;
  readonly warnings: readonly string[];
}

/** The form's settings, changed by the recipe and then, for nodes that no rule speaks of, by what a scan finds. */
export async function decide(graph: Graph, options: DecideOptions): Promise<Decision> {
  const { form, request, recipe, stopwatch } = options;
  const defaults = defaultSettings(graph, options);
  const chosen = recipe ? applyRecipe(defaults, recipe.rules, recipe.path) : defaults;
  if (recipe) refuseSchemes(chosen, request.scheme, recipe.path);
  const plan = form.plan(graph, chosen, request);
  const statistics = await stopwatch.time('calibrationMs', () => observe(plan, options));
  const guarded = await stopwatch.time('scanMs', () => guardRanges(plan, statistics, options));
  const { settings } = guarded;
  const warnings = [...floatWarnings(plan, form), ...guarded.warnings];
  if (!options.scan || plan.integer.size === 0) return { graph, settings, statistics, scan: undefined, warnings };
  const scan = await stopwatch.time('scanMs', () =>
    scanOutstanding(trialOptions(form.plan(graph, settings, request), statistics, options), statistics, (done, total) =>
      options.progress('scanning linears with outliers', done, total),
    ),
  );
  const free = scan.keep.filter((node) => defaults.get(node)?.scheme === chosen.get(node)?.scheme);
  return { graph, settings: withScheme(settings, free, options.fallback), statistics, scan, warnings };
}

/** One file has one kind of calibrated integers; a table is stored in any way, and what has no weight computes or does not. */
function refuseSchemes(settings: SettingsMap, scheme: Scheme, path: string): void {
  const isCalibrated = scheme === 'int8' || scheme === 'int16x8';
  for (const [node, { scheme: chosen }] of settings) {
    if (isTable(node) || chosen === 'float' || (isCalibrated && chosen === scheme)) continue;
    if (hasWeight(node) && (chosen === 'dynamic' || chosen === 'w4')) continue;
    throw new MbertError('MISMATCH', `${path}: ${node.name}: is ${chosen} in a file of --scheme ${scheme}`, {
      hint: `it may be ${['float', ...(hasWeight(node) ? ['dynamic', 'w4'] : []), ...(isCalibrated ? [scheme] : [])].join(', ')}`,
    });
  }
}

/** Ops that no integer form has, and the passes that take them out. */
const FLOAT_OPS = { layerNorm: 'layer-norm-to-no-norm', gelu: 'gelu-to-relu' } as const;

/** An accelerator that computes on integers only hands these back to the CPU. */
function floatWarnings({ graph }: Plan, form: Form): string[] {
  if (!form.isStrict) return [];
  return Object.entries(FLOAT_OPS).flatMap(([op, pass]) => {
    const count = graph.nodes().filter((node) => node.op === op).length;
    return count === 0 ? [] : [`${graph.name}: ${count} ${op} stay float: run --passes ${pass} for integers only`];
  });
}

function defaultSettings(graph: Graph, { form, request, keep }: DecideOptions): Map<Call, Settings> {
  const settings = new Map<Call, Settings>();
  for (const node of graph.nodes()) {
    const found = isCall(node) ? form.settingsOf(node, request) : undefined;
    if (!found || !isCall(node)) continue;
    settings.set(node, keep?.test(node.name) ? { ...found, scheme: 'float' } : found);
  }
  return settings;
}

/** The settings with these nodes in another scheme. */
export function withScheme(settings: SettingsMap, nodes: readonly Call[], scheme: NodeScheme): Map<Call, Settings> {
  const changed = new Map(settings);
  for (const node of nodes) changed.set(node, { ...(settings.get(node) as Settings), scheme });
  return changed;
}

async function observe(plan: Plan, { collect }: DecideOptions): Promise<Statistics> {
  const nodes = observedNodes(plan);
  if (nodes.length === 0) return new Map();
  const wanted = new Set<Node>();
  for (const { members, method } of classesOf(plan))
    if (needsHistogram(method)) for (const node of members) wanted.add(node);
  return collect(
    plan.graph,
    nodes.map((node) => ({ node, histogram: wanted.has(node) })),
  );
}

export function trialOptions(plan: Plan, statistics: Statistics, options: DecideOptions) {
  return {
    plan,
    quants: chooseQuants(plan, statistics),
    roundWeight: roundForReaders(plan.graph),
    rows: options.samples.trial,
    task: options.task,
    pad: options.pad,
    mask: options.mask,
  };
}

/** A clipped range that loses this much against the whole one was a bad choice. */
const TOLERATED_LOSS_DB = 0.5;

/** Ranges that clip must stand a trial against those that do not: a wrong calibrator ruins a BERT without a word. */
async function guardRanges(plan: Plan, statistics: Statistics, options: DecideOptions) {
  const clipped = [...plan.settings].filter(([node, { range }]) => plan.integer.has(node) && range !== 'minmax');
  if (clipped.length === 0) return { settings: plan.settings, warnings: [] };
  const whole = new Map(plan.settings);
  for (const [node, settings] of clipped) whole.set(node, { ...settings, range: 'minmax' });
  const plans = [plan, options.form.plan(plan.graph, whole, options.request)];
  const found: number[] = [];
  for (const each of plans) {
    options.progress('trying the ranges');
    found.push(
      await withTrial({ ...trialOptions(each, statistics, options), groups: [] }, async (trial) => {
        return (await trial.measure([0], 'float')).sqnrDb;
      }),
    );
  }
  const [clippedDb = 0, wholeDb = 0] = found;
  if (clippedDb >= wholeDb - TOLERATED_LOSS_DB) return { settings: plan.settings, warnings: [] };
  const methods = [...new Set(clipped.map(([, { range }]) => range))].join(', ');
  const warning =
    `--range ${methods}: gives ${clippedDb.toFixed(1)} dB on held-out samples, minmax ${wholeDb.toFixed(1)} dB: ` +
    'minmax is used';
  return { settings: whole, warnings: [warning] };
}

/** The quantized graph that a decision makes of its float graph, or of a twin with the same names. */
export function build(
  decision: Decision,
  { form, request }: DecideOptions,
  graph: Graph = decision.graph,
  more: Pick<RebuildOptions, 'roundWeight'> = {},
): Graph {
  const byName = new Map([...decision.settings].map(([node, settings]) => [node.name, settings]));
  const settings = new Map<Call, Settings>();
  for (const node of graph.nodes()) {
    const found = byName.get(node.name);
    if (found && isCall(node)) settings.set(node, found);
  }
  const plan = form.plan(graph, settings, request);
  return rebuild(plan, {
    quants: chooseQuants(plan, decision.statistics),
    roundWeight: roundForReaders(graph),
    integerOutputs: request.integerOutputs,
    ...more,
  });
}
