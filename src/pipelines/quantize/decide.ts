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
  type Scheme,
  type Settings,
  type SettingsMap,
  storedPlace,
} from '../../quantization/settings.ts';
import { countTokens } from '../../samples/count-tokens.ts';
import { chooseBits, withWidened } from './choose-bits.ts';
import { chooseRefit } from './choose-refit.ts';
import { chooseRoundings, withNearest } from './choose-rounding.ts';
import { CompensatedWeights } from './compensated-weights.ts';
import {
  type CalibratedValues,
  type DecideOptions,
  type Decision,
  switchOptionsOf,
  validationDb,
  withKept,
} from './decision.ts';
import { narrowWarnings } from './narrow-ranges.ts';
import { scanOutliers } from './scan.ts';

/** The note on an int8 file whose linears are dynamic unasked. */
const DYNAMIC_NOTE =
  'has loud channels, so its linears find the range of each token in each run (dynamic): nearer to the float model than ' +
  'calibrated ranges, and as fast';

/**
 * Decides how every node is stored: by the form's settings, changed by the recipe and then, for nodes that no rule of
 * it changes, by what a scan finds.
 */
export async function decide(graph: Graph, options: DecideOptions): Promise<Decision> {
  const { form, request, recipe, samples, run } = options;
  const { stopwatch } = run;
  if (request.isDynamic) run.note(`${graph.name}: ${DYNAMIC_NOTE}`);
  const defaults = defaultSettings(graph, options);
  const chosen = recipe ? applyRecipe(defaults, recipe.rules, recipe.path) : defaults;
  if (recipe) refuseSettings(chosen, options, recipe.path);
  const plan = form.plan(graph, chosen, request);
  run.enter('calibrate');
  const statistics = await stopwatch.time('calibrationMs', () => observe(plan, options));
  const weights = new CompensatedWeights(options.collectApart.collect);
  const tokenCounts = samples.calibration.length > 0 ? countTokens(samples.calibration) : undefined;
  const calibrated = { statistics, weights, means: undefined, tokenCounts, refitted: undefined };
  run.enter('choose');
  const guarded = await stopwatch.time('scanMs', () => guardRanges(plan, calibrated, options));
  const scan = await stopwatch.time('scanMs', () => runScan(plan, guarded.settings, calibrated, options));
  const unruled = (scan?.keep ?? []).filter((node) => defaults.get(node)?.scheme === chosen.get(node)?.scheme);
  const kept = withKept(guarded.settings, unruled, options);
  // After the scan: the noise of linears that now stay float would have drowned the effect of a rounding.
  const rounded = await chooseRoundings(form.plan(graph, kept, request), calibrated, options);
  const narrow = await stopwatch.time('scanMs', () =>
    narrowWarnings(form.plan(graph, rounded.settings, request), calibrated, options),
  );
  const warnings = [...floatWarnings(plan, form), ...guarded.warnings, ...rounded.warnings, ...narrow];
  const isRuled = (node: Call) => defaults.get(node)?.scheme !== chosen.get(node)?.scheme;
  const widened = await stopwatch.time('scanMs', () =>
    chooseBits(form.plan(graph, rounded.settings, request), rounded, isRuled, options),
  );
  const settings = withWidened(rounded.settings, widened);
  const refitted = await chooseRefit(form.plan(graph, settings, request), rounded, options);
  return { ...rounded, ...refitted, settings, widened, graph, scan, warnings };
}

async function runScan(plan: Plan, settings: SettingsMap, calibrated: CalibratedValues, options: DecideOptions) {
  if (!options.scan || plan.integer.size === 0) return undefined;
  const plain = options.form.plan(plan.graph, withNearest(settings), options.request);
  options.run.progress('looking for linears with outliers');
  const progress = within(options.run, 'measuring linears with outliers');
  return scanOutliers(switchOptionsOf(plain, calibrated, options), calibrated.statistics, progress);
}

function refuseSettings(settings: SettingsMap, { request, samples }: DecideOptions, path: string): void {
  const { blocks } = request;
  refuseSchemes(settings, request.scheme, path);
  for (const [node, { scheme, granularity }] of settings) {
    const canHaveBlocks = scheme === 'w4' || (scheme === 'dynamic' && blocks?.w8 !== undefined);
    if (!hasWeight(node) || granularity !== 'block' || canHaveBlocks || scheme === 'float') continue;
    throw new MbertError('MISMATCH', `${path}: ${node.name}: is ${scheme} in blocks, which are for w4`, {
      hint: 'granularity may be channel or tensor there',
    });
  }
  const compensated = [...settings].find(([node, each]) => isCompensated(node, each))?.[0];
  if (compensated && samples.calibration.length === 0) {
    throw new MbertError('USAGE', `${path}: ${compensated.name}: rounding gptq needs --calibrate FILE`);
  }
}

/**
 * Throws MISMATCH for schemes that one file cannot hold: it has one kind of calibrated integers. A table is stored in
 * any way; a node without a weight is float or of the file's scheme.
 */
function refuseSchemes(settings: SettingsMap, scheme: Scheme, path: string): void {
  const isCalibrated = scheme === 'int8' || scheme === 'int16x8';
  for (const [node, { scheme: chosen }] of settings) {
    if (storedPlace(node) === 0 || chosen === 'float' || (isCalibrated && chosen === scheme)) continue;
    if (hasWeight(node) && (chosen === 'dynamic' || chosen === 'w8' || chosen === 'w4')) continue;
    throw new MbertError('MISMATCH', `${path}: ${node.name}: is ${chosen} in a file of --scheme ${scheme}`, {
      hint: `it may be ${['float', ...(hasWeight(node) ? ['dynamic', 'w8', 'w4'] : []), ...(isCalibrated ? [scheme] : [])].join(', ')}`,
    });
  }
}

/** Ops that no integer form has, with the passes that take them out. */
const FLOAT_OPS = { layerNorm: 'layer-norm-to-no-norm', gelu: 'gelu-to-relu' } as const;

/** Warns of ops that stay float: an accelerator that computes on integers only hands them back to the CPU. */
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

/** Collects the statistics that the plan's ranges are chosen by. */
async function observe(plan: Plan, { collect }: DecideOptions): Promise<Statistics> {
  const nodes = observedNodes(plan);
  if (nodes.length === 0) return new Map();
  const withHistogram = new Set<Node>();
  for (const { members, method } of classesOf(plan))
    if (needsHistogram(method)) for (const node of members) withHistogram.add(node);
  return collect(
    plan.graph,
    nodes.map((node) => ({ node, histogram: withHistogram.has(node) })),
  );
}

/** Loss in dB, against whole ranges, beyond which clipped ones are rejected. */
const TOLERATED_LOSS_DB = 0.5;

/**
 * Replaces ranges that clip by whole ones where these are better on the validation samples, as a wrong calibrator
 * silently ruins a BERT.
 */
async function guardRanges(plan: Plan, calibrated: CalibratedValues, options: DecideOptions) {
  const clipped = [...plan.settings].filter(([node, { range }]) => plan.integer.has(node) && range !== 'minmax');
  if (clipped.length === 0) return { settings: plan.settings, warnings: [] };
  const whole = new Map(plan.settings);
  for (const [node, settings] of clipped) whole.set(node, { ...settings, range: 'minmax' });
  const levels: number[] = [];
  for (const settings of [plan.settings, whole]) {
    options.run.progress('trying the ranges');
    const candidate = options.form.plan(plan.graph, withNearest(settings), options.request);
    levels.push(await validationDb(candidate, calibrated, options));
  }
  const [clippedDb = 0, wholeDb = 0] = levels;
  if (clippedDb >= wholeDb - TOLERATED_LOSS_DB) return { settings: plan.settings, warnings: [] };
  const methods = [...new Set(clipped.map(([, { range }]) => range))].join(', ');
  const warning =
    `--range ${methods}: gives ${clippedDb.toFixed(1)} dB on held-out samples, minmax ${wholeDb.toFixed(1)} dB: ` +
    'minmax is used';
  return { settings: whole, warnings: [warning] };
}
