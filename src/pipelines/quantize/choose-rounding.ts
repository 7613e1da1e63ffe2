import type { Call } from '../../ir/graph.ts';
import type { Statistics } from '../../ir/statistics.ts';
import type { Plan } from '../../quantization/plan.ts';
import { chooseQuants } from '../../quantization/ranges.ts';
import { hasWeight, isCompensated, type Settings, type SettingsMap } from '../../quantization/settings.ts';
import type { CompensatedWeights } from './compensated-weights.ts';
import {
  type BiasComparison,
  type CalibratedValues,
  type DecideOptions,
  MIN_FITTED_SAMPLES,
  type RoundingComparison,
  validationDb,
} from './decision.ts';

/** Final rounding of the weights, with what was measured. */
export interface ChosenRoundings extends CalibratedValues {
  readonly settings: SettingsMap;
  readonly rounding: RoundingComparison | undefined;
  readonly biasCorrection: BiasComparison | undefined;
  readonly warnings: readonly string[];
}

/**
 * Chooses whether compensated rounding and bias correction are used. Both fit a model to the calibration samples, so
 * each is used only where samples that it has not seen say that it is better: behind ranges that clip, a corrected bias
 * took a BERT from 25 dB to 5.
 */
export async function chooseRoundings(
  plan: Plan,
  calibrated: CalibratedValues,
  options: DecideOptions,
): Promise<ChosenRoundings> {
  const plain: ChosenRoundings = {
    ...calibrated,
    settings: withNearest(plan.settings),
    rounding: undefined,
    biasCorrection: undefined,
    warnings: [],
  };
  const isCompensating = [...plan.settings].some(([node, settings]) => isCompensated(node, settings));
  if (!isCompensating && !options.biasCorrection) return plain;
  const { count } = options.collectApart;
  if (count < MIN_FITTED_SAMPLES) {
    const asked = [...(options.isRoundingAsked ? ['--rounding gptq'] : []), ...biasFlag(options)];
    const problem = `is not used, as ${count} samples are left to fit to besides those that judge it`;
    const warnings = asked.map((flag) => `${flag}: ${problem}: give --calibrate a file with more lines`);
    return { ...plain, warnings };
  }
  const rounded = isCompensating ? await chooseRounding(plan, options, plain) : plain;
  return options.biasCorrection ? chooseBias(plan, options, rounded) : rounded;
}

function biasFlag({ biasCorrection }: DecideOptions): string[] {
  return biasCorrection ? ['--bias-correction'] : [];
}

/** The settings with every weight rounded to the nearest integers. */
export function withNearest(settings: SettingsMap): SettingsMap {
  const changed = new Map<Call, Settings>(settings);
  for (const [node, each] of settings) changed.set(node, { ...each, rounding: 'nearest' });
  return changed;
}

async function chooseRounding(plan: Plan, options: DecideOptions, plain: ChosenRoundings): Promise<ChosenRoundings> {
  const { weights, statistics } = plain;
  await options.run.stopwatch.time('calibrationMs', () => weights.prepare(plan, chooseQuants(plan, statistics)));
  const gptqDb = await measureDb(plan, options, { ...plain, settings: plan.settings });
  const nearestDb = await measureDb(plan, options, plain);
  const isBetter = gptqDb > nearestDb;
  const rounding: RoundingComparison = {
    used: isBetter ? 'gptq' : 'nearest',
    samples: options.samples.validation.length,
    gptqDb,
    nearestDb,
  };
  if (isBetter) return { ...plain, settings: plan.settings, rounding, warnings: wideWarnings(weights) };
  const warning =
    `--rounding gptq: gives ${gptqDb.toFixed(1)} dB on held-out samples, nearest ${nearestDb.toFixed(1)} dB: ` +
    'nearest is used';
  return { ...plain, rounding, warnings: options.isRoundingAsked ? [warning] : [] };
}

function wideWarnings({ tooWide }: CompensatedWeights): string[] {
  const [first] = tooWide;
  if (first === undefined) return [];
  const more = tooWide.size > 1 ? ` and ${tooWide.size - 1} more` : '';
  return [`--rounding gptq: ${first}${more}: what it reads is too wide, so that it is rounded to the nearest`];
}

async function chooseBias(plan: Plan, options: DecideOptions, plain: ChosenRoundings): Promise<ChosenRoundings> {
  const means = await options.run.stopwatch.time('calibrationMs', () => meansOf(plan, options));
  const correctedDb = await measureDb(plan, options, { ...plain, means });
  // What was just measured with the same weights.
  const { rounding } = plain;
  const plainDb = rounding ? Math.max(rounding.gptqDb, rounding.nearestDb) : await measureDb(plan, options, plain);
  const used = correctedDb > plainDb;
  const biasCorrection: BiasComparison = { used, samples: options.samples.validation.length, correctedDb, plainDb };
  if (used) return { ...plain, means, biasCorrection };
  const warning =
    `--bias-correction: gives ${correctedDb.toFixed(1)} dB on held-out samples, ${plainDb.toFixed(1)} dB without: ` +
    'biases stay as they are';
  return { ...plain, biasCorrection, warnings: [...plain.warnings, warning] };
}

/** Statistics of the channels that linears with rounded weights read. */
function meansOf({ graph, settings }: Plan, { collectApart }: DecideOptions): Promise<Statistics> {
  const read = new Set(
    [...settings].flatMap(([node, { scheme }]) => {
      const isRounded = node.op === 'linear' && hasWeight(node) && scheme !== 'float';
      return isRounded ? node.inputs.slice(0, 1) : [];
    }),
  );
  return collectApart.collect(
    graph,
    [...read].map((node) => ({ node, channels: true })),
  );
}

/** SQNR of the answers with these roundings, in dB on the validation samples. */
function measureDb({ graph }: Plan, options: DecideOptions, chosen: ChosenRoundings): Promise<number> {
  const plan = options.form.plan(graph, chosen.settings, options.request);
  options.run.progress('trying the rounding');
  return options.run.stopwatch.time('scanMs', () => validationDb(plan, chosen, options));
}
