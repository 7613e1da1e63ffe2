import { fittedPass } from './fit/fit.ts';

/** Puts relu in the place of every gelu; the linears behind are fitted to the original's values on calibration text. */
export const geluToRelu = fittedPass({
  name: 'gelu-to-relu',
  summary: 'linear(gelu(x))  ->  linear(relu(x)), fitted to the original on calibration text',
  converts: 'gelu',
});
