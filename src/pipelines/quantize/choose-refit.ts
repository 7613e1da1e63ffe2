import { within } from '../../options/run.ts';
import type { Plan } from '../../quantization/plan.ts';
import { chooseQuants } from '../../quantization/ranges.ts';
import {
  type CalibratedValues,
  type DecideOptions,
  MIN_FITTED_SAMPLES,
  type RefitComparison,
  roundingOptions,
  validationDb,
} from './decision.ts';
import { refitLinears, textsToFit } from './refitted-linears.ts';

/** Final weights and biases, with what fitting them was worth. */
export interface ChosenRefit extends CalibratedValues {
  readonly refit: RefitComparison | undefined;
  readonly refitWarnings: readonly string[];
}

/**
 * Fits the linears of a 4-bit model behind one another (see `refitLinears`), and keeps that where texts that nothing was
 * fitted to say that it is better.
 */
export async function chooseRefit(
  plan: Plan,
  calibrated: CalibratedValues,
  options: DecideOptions,
  fitLinears = refitLinears,
): Promise<ChosenRefit> {
  const { samples, run, feeds } = options;
  const validation = new Set(samples.validation);
  const rows = samples.calibration.filter((row) => !validation.has(row));
  const plain: ChosenRefit = { ...calibrated, refitted: undefined, refit: undefined, refitWarnings: [] };
  if (!options.refits) return plain;
  const left = (problem: string) => ({ ...plain, refitWarnings: [`--refit: ${problem}`] });
  if (!takesTexts(plan)) return left('is not used, as the model reads several sequences for one answer');
  if (rows.length < MIN_FITTED_SAMPLES)
    return left(
      `is not used, as ${rows.length} samples are left to fit to besides those that judge it: give --calibrate a file with more lines`,
    );
  if (textsToFit(plan.graph, rows).length === 0)
    return left(
      'is not used, as what one linear reads of a single text is more than is held in memory: take shorter texts, or a smaller --sequence-length',
    );
  const choices = { quants: chooseQuants(plan, calibrated.statistics), ...roundingOptions(plan, plain) };
  const refitted = await run.stopwatch.time('calibrationMs', () =>
    fitLinears(plan, choices, { rows, pad: feeds.pad, progress: within(run, 'fitting linears') }),
  );
  if (refitted.size === 0)
    return left('is not used, as no linear can be fitted: they share weights, stay float or read too many values');
  const fitted = { ...calibrated, refitted };
  const [fittedDb, plainDb] = await run.stopwatch.time('scanMs', async () => [
    await validationDb(plan, fitted, options),
    await validationDb(plan, plain, options),
  ]);
  const used = fittedDb > plainDb;
  const refit = { used, samples: validation.size, fittedDb, plainDb };
  if (used) return { ...plain, refitted, refit };
  const problem = `gives ${fittedDb.toFixed(1)} dB on held-out samples, ${plainDb.toFixed(1)} dB without`;
  return { ...left(`${problem}: linears stay as they are`), refit };
}

/** Whether the model takes one sequence for one answer, as parts of it are run on. */
function takesTexts({ graph }: Plan): boolean {
  return graph.inputs[0]?.type.shape.length === 2;
}
