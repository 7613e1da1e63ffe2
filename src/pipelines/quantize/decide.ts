import { MbertError } from '../../errors.ts';
import type { Call, Graph, Node } from '../../ir/graph.ts';
import type { Statistics } from '../../ir/statistics.ts';
import { within } from '../../options/run.ts';
import type { Form } from '../../quantization/forms/form.ts';
import { classesOf, isCall, observedNodes, type Plan } from '../../quantization/plan.ts';
import { needsHistogram } from '../../quantization/ranges.ts';
import { applyRecipe } from '../../quantization/recipe.ts';
import {
  hasWeight,
  isCompensated,
  isTable,
  type Scheme,
  type Settings,
  type SettingsMap,
} from '../../quantization/settings.ts';
import { chooseRoundings, withNearest } from './choose-rounding.ts';
import { CompensatedWeights } from './compensated-weights.ts';
import { type DecideOptions, type Decision, type KnownValues, trialDb, trialOptions, withKept } from './decision.ts';
import { scanOutstanding } from './scan.ts';

/** The form's settings, changed by the recipe and then, for nodes that no rule speaks of, by what a scan finds. */
export async function decide(graph: Graph, options: DecideOptions): Promise<Decision> {
  const { form, request, recipe, run } = options;
  const { stopwatch } = run;
  const defaults = defaultSettings(graph, options);
  const chosen = recipe ? applyRecipe(defaults, recipe.rules, recipe.path) : defaults;
  if (recipe) refuseSettings(chosen, options, recipe.path);
  const plan = form.plan(graph, chosen, request);
  const statistics = await stopwatch.time('calibrationMs', () => observe(plan, options));
  const weights = new CompensatedWeights(options.collectApart.collect);
  const known = { statistics, weights, means: undefined };
  const guarded = await stopwatch.time('scanMs', () => guardRanges(plan, known, options));
  const scan = await stopwatch.time('scanMs', () => scanned(plan, guarded.settings, known, options));
  const free = (scan?.keep ?? []).filter((node) => defaults.get(node)?.scheme === chosen.get(node)?.scheme);
  const kept = withKept(guarded.settings, free, options);
  // After the scan: the noise of what stays float now would drown what a rounding is worth.
  const rounded = await chooseRoundings(form.plan(graph, kept, request), known, options);
  const warnings = [...floatWarnings(plan, form), ...guarded.warnings, ...rounded.warnings];
  return { ...rounded, graph, scan, warnings };
}

async function scanned(plan: Plan, settings: SettingsMap, known: KnownValues, options: DecideOptions) {
  if (!options.scan || plan.integer.size === 0) return undefined;
  const plain = options.form.plan(plan.graph, withNearest(settings), options.request);
  const progress = within(options.run, 'scanning linears with outliers');
  return scanOutstanding(trialOptions(plain, known, options), known.statistics, progress);
}

function refuseSettings(settings: SettingsMap, { request, samples }: DecideOptions, path: string): void {
  refuseSchemes(settings, request.scheme, path);
  for (const [node, { scheme, granularity }] of settings) {
    if (!hasWeight(node) || granularity !== 'block' || scheme === 'w4' || scheme === 'float') continue;
    throw new MbertError('MISMATCH', `${path}: ${node.name}: is ${scheme} in blocks, which are for w4`, {
      hint: 'granularity may be channel or tensor there',
    });
  }
  const compensated = [...settings].find(([node, each]) => isCompensated(node, each))?.[0];
  if (compensated && samples.calibration.length === 0) {
    throw new MbertError('USAGE', `${path}: ${compensated.name}: rounding gptq needs --calibrate FILE`);
  }
}

/** One file has one kind of calibrated integers; a table is stored in any way, and what has no weight computes or does not. */
function refuseSchemes(settings: SettingsMap, scheme: Scheme, path: string): void {
  const isCalibrated = scheme === 'int8' || scheme === 'int16x8';
  for (const [node, { scheme: chosen }] of settings) {
    if (isTable(node) || chosen === 'float' || (isCalibrated && chosen === scheme)) continue;
    if (hasWeight(node) && (chosen === 'dynamic' || chosen === 'w8' || chosen === 'w4')) continue;
    throw new MbertError('MISMATCH', `${path}: ${node.name}: is ${chosen} in a file of --scheme ${scheme}`, {
      hint: `it may be ${['float', ...(hasWeight(node) ? ['dynamic', 'w8', 'w4'] : []), ...(isCalibrated ? [scheme] : [])].join(', ')}`,
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

function defaultSettings(graph: Graph, { form, request, keeps }: DecideOptions): Map<Call, Settings> {
  const settings = new Map<Call, Settings>();
  for (const node of graph.nodes()) {
    const found = isCall(node) ? form.settingsOf(node, request) : undefined;
    if (!found || !isCall(node)) continue;
    settings.set(node, keeps(node) ? { ...found, scheme: 'float' } : found);
  }
  return settings;
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

/** A clipped range that loses this much against the whole one was a bad choice. */
const TOLERATED_LOSS_DB = 0.5;

/** Ranges that clip must stand a trial against those that do not: a wrong calibrator ruins a BERT without a word. */
async function guardRanges(plan: Plan, known: KnownValues, options: DecideOptions) {
  const clipped = [...plan.settings].filter(([node, { range }]) => plan.integer.has(node) && range !== 'minmax');
  if (clipped.length === 0) return { settings: plan.settings, warnings: [] };
  const whole = new Map(plan.settings);
  for (const [node, settings] of clipped) whole.set(node, { ...settings, range: 'minmax' });
  const found: number[] = [];
  for (const settings of [plan.settings, whole]) {
    options.run.progress('trying the ranges');
    const each = options.form.plan(plan.graph, withNearest(settings), options.request);
    found.push(await trialDb(each, known, options));
  }
  const [clippedDb = 0, wholeDb = 0] = found;
  if (clippedDb >= wholeDb - TOLERATED_LOSS_DB) return { settings: plan.settings, warnings: [] };
  const methods = [...new Set(clipped.map(([, { range }]) => range))].join(', ');
  const warning =
    `--range ${methods}: gives ${clippedDb.toFixed(1)} dB on held-out samples, minmax ${wholeDb.toFixed(1)} dB: ` +
    'minmax is used';
  return { settings: whole, warnings: [warning] };
}
