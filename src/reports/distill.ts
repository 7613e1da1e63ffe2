import type { DistillResult } from '../pipelines/distill/types.ts';
import { agreementHeading, agreementValue } from './agreement.ts';
import { costText } from './fit.ts';
import { decibels } from './numbers.ts';
import { plural, size, table } from './text.ts';

/** Flags that give texts to measure on. */
const TEXT_FLAGS = 'more --texts or --data FILE';

/** Prints how a student was trained, how near it came to its teacher on the way, and what it is worth. */
export function distillText(result: DistillResult): string {
  const { stages, strategy, views, layers, projections, texts, labelled, batch, watched, before, after } = result;
  const { source, files } = result;
  const parts = stages.map(({ name, steps }) => `${name} ${steps}`).join(', ');
  const compared = layers.map((pair) => `${pair.student}<-${pair.teacher}`).join(' ');
  const widths = projections > 0 ? `, ${plural(projections, 'layer')} mapped` : '';
  const labels = labelled > 0 ? `, ${labelled} with labels` : '';
  return [
    `  trained  ${plural(result.steps, 'step')} of ${batch} texts, ${strategy}: ${parts || 'nothing to learn'}`,
    `           drawn from ${plural(texts, 'text')}${source ? ` of ${source.source}` : ''}${labels}; the student saw ${views.join(', ')}`,
    `  layers   ${compared === '' ? 'none compared' : `${compared}${widths}`}`,
    `  before   ${costText(before, TEXT_FLAGS)}`,
    `  after    ${costText(after, TEXT_FLAGS)}`,
    '',
    ...curveLines(watched),
    ...files.map(({ path, size: bytes }) => `${path}  ${size(bytes)}`),
  ].join('\n');
}

/** Most measurements that are printed; the page and the JSON have all. */
const ROWS = 12;

function curveLines({ samples, curve }: DistillResult['watched']): string[] {
  if (curve.length === 0) return [];
  const stride = Math.ceil(curve.length / ROWS);
  const shown = curve.filter((_, i) => i % stride === 0 || i === curve.length - 1);
  const rows = shown.map((point) => [String(point.step), agreementValue(point), decibels(point.sqnrDb)]);
  return [
    `on ${plural(samples, 'held-out text')}, single and joined:`,
    table([['step', agreementHeading(curve), 'answers'], ...rows]),
    '',
  ];
}
