import { fittedPass } from './fit/fit.ts';

/** Replaces every gelu by a relu; the linears that follow are fitted to the original's values on calibration text. */
export const geluToRelu = fittedPass({
  name: 'gelu-to-relu',
  summary: 'linear(gelu(x))  ->  linear(relu(x)), fitted to the original on calibration text',
  converts: 'gelu',
});
