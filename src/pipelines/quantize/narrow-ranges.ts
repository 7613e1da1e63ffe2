import { observedNodes, type Plan } from '../../quantization/plan.ts';
import { chooseQuants } from '../../quantization/ranges.ts';
import { isCalibrated, saturationOf } from '../../quantization/saturation.ts';
import type { CalibratedValues, DecideOptions } from './decision.ts';

/**
 * The share of ranges that other texts leave by more than rounding costs, above which the calibration texts are too few or
 * of another kind. All-MiniLM-L6-v2 has 24 of 24 after 8 lines, at 21.3 dB, 11 after 32, at 28.5 dB.
 */
const TOLERATED_SHARE = 1 / 2;

/** Warns where texts that were not calibrated on leave the ranges so far that it costs more than rounding does. */
export async function narrowWarnings(
  plan: Plan,
  { statistics }: CalibratedValues,
  { collectUnseen, samples: { manifest } }: DecideOptions,
): Promise<string[]> {
  if (plan.integer.size === 0 || collectUnseen.count === 0) return [];
  const quants = chooseQuants(plan, statistics);
  const members = new Set([...quants.keys()].filter(isCalibrated).flatMap((values) => values.members));
  const nodes = observedNodes(plan).filter((node) => members.has(node));
  const unseen = await collectUnseen.collect(
    plan.graph,
    nodes.map((node) => ({ node, histogram: true })),
  );
  const { ranges, narrow, share, worst } = saturationOf(quants, unseen);
  if (narrow <= TOLERATED_SHARE * ranges) return [];
  const furthest = worst ? `, ${worst.name} ${worst.reach.toFixed(1)} times as far` : '';
  return [
    `${manifest?.source ?? 'calibration'}: is too narrow: ${collectUnseen.count} other samples leave ${narrow} of ${ranges} ` +
      `calibrated ranges with ${(100 * share).toFixed(2)} % of their values${furthest}: calibrate on more lines, or on lines like ` +
      'those that the model will see (--calibrate, --samples)',
  ];
}
