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
import { refitLinears } from './refitted-linears.ts';

/** Final weights and biases, with what fitting them was worth. */
export interface ChosenRefit extends CalibratedValues {
  readonly refit: RefitComparison | undefined;
}

/**
 * Fits the linears of a 4-bit model behind one another (see `refitLinears`), and keeps that where texts that nothing was
 * fitted to say that it is better.
 */
export async function chooseRefit(
  plan: Plan,
  calibrated: CalibratedValues,
  options: DecideOptions,
  refit = refitLinears,
): Promise<ChosenRefit> {
  const { samples, run, feeds } = options;
  const validation = new Set(samples.validation);
  const rows = samples.calibration.filter((row) => !validation.has(row));
  const plain: ChosenRefit = { ...calibrated, refitted: undefined, refit: undefined };
  if (!options.refits || rows.length < MIN_FITTED_SAMPLES || !takesTexts(plan)) return plain;
  const choices = { quants: chooseQuants(plan, calibrated.statistics), ...roundingOptions(plan, plain) };
  const refitted = await run.stopwatch.time('calibrationMs', () =>
    refit(plan, choices, { rows, pad: feeds.pad, progress: within(run, 'fitting linears') }),
  );
  const fitted = { ...calibrated, refitted };
  const [fittedDb, plainDb] = await run.stopwatch.time('scanMs', async () => [
    await validationDb(plan, fitted, options),
    await validationDb(plan, plain, options),
  ]);
  const used = fittedDb > plainDb;
  return { ...(used ? fitted : plain), refit: { used, samples: validation.size, fittedDb, plainDb } };
}

/** Whether the model takes one sequence for one answer, as parts of it are run on. */
function takesTexts({ graph }: Plan): boolean {
  return graph.inputs[0]?.type.shape.length === 2;
}
