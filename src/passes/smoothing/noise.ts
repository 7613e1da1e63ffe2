/**
 * The share of channels that are no part of the results that noise is compared with: a neuron that is loud at [CLS]
 * alone has most of the power, and no part in the results of other tokens.
 */
export const LOUD_SHARE = 0.01;

/** Noise as a share of the signal's power, as decibels. */
export function decibels(noise: number): string {
  return (-10 * Math.log10(noise)).toFixed(1);
}
