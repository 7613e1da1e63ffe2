import { fittedPass } from './fit/fit.ts';

/**
 * Replaces every layer norm by y = g∘x + c, as MobileBERT's paper does, but without training: g, c and the linear
 * before the norm are fitted by least squares to the original's values on calibration text.
 */
export const layerNormToNoNorm = fittedPass({
  name: 'layer-norm-to-no-norm',
  summary: 'layerNorm(x + linear(h))  ->  noNorm(x + linear(h)), fitted to the original on calibration text',
  converts: 'layerNorm',
});
