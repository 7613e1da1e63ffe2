import type { ExtractResult } from '../pipelines/extract/extract.ts';
import { costText, textFlags } from './fit.ts';
import { plural, size } from './text.ts';

/** Prints a student's sizes beside its teacher's, what it costs and what it brings. */
export function extractText(result: ExtractResult): string {
  const { shape, teacher, layers, method, refitted, parameters, operations, calibration, heldOut, files } = result;
  const sizes = (['layers', 'hidden', 'heads', 'intermediate'] as const)
    .map((part) => `${part} ${teacher[part]} -> ${shape[part]}`)
    .join(', ');
  const mobile = shape.mobilebert;
  const networks = mobile
    ? ` in each of ${mobile.feedForwards} networks; a MobileBERT with a bottleneck of ${mobile.bottleneck} and words of ${mobile.embedding}`
    : '';
  const text = calibration ? `, by ${plural(calibration.count, 'text')} of ${calibration.source}` : '';
  const fitted = refitted > 0 ? `, ${refitted} weights and biases fitted` : '';
  const millions = (count: number) => `${(count / 1e6).toFixed(2)} M`;
  return [
    `  student  ${sizes}${networks}`,
    method === 'scratch'
      ? '           weights drawn anew, none of them of the teacher'
      : `           layers ${layers.join(' ')} of the teacher; channels by ${method}${fitted}${text}`,
    `  weights  ${millions(parameters.teacher)} -> ${millions(parameters.student)}`,
    `  cost     ${costText(heldOut, textFlags(calibration))}`,
    `  gain     ${operations.speedup.toFixed(2)} times the speed, by counting operations, ${operations.sequence} tokens`,
    '',
    ...files.map(({ path, size: bytes }) => `${path}  ${size(bytes)}`),
  ].join('\n');
}
