import type { FitReport, FitRow, HeldOut } from '../pipelines/fit/types.ts';
import { plural, size, table } from './text.ts';

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
const decibel = (value: number) => (Number.isFinite(value) ? `${value.toFixed(1)} dB` : 'equal');

/** What was changed, on what text, what it costs and what it brings: nothing is written before this is said. */
export function fitText(report: FitReport): string {
  const { passes, refitted, embeddings, calibration, operations, failures } = report;
  const counts = passes.map(({ name, rewrites }) => `${name} ${rewrites}`);
  if (refitted > 0) counts.push(`${plural(refitted, 'linear')} fitted anew`);
  const fittedTo = calibration ? `, to ${plural(calibration.count, 'text')} of ${calibration.source}` : ', to no text';
  const lines = [`  changed  ${counts.join(', ')}${fittedTo}`];
  for (const { name, declined } of passes)
    for (const reason of declined) lines.push(`           ${name} left ${reason}`);
  for (const { name, shape, rank, ...split } of embeddings) {
    const sizes = `${size(4 * split.numbersBefore)} -> ${size(4 * split.numbersAfter)} in f32`;
    const uniform = `${percent(split.uniformError)} with all words alike`;
    const error = calibration ? `${percent(split.relativeError)} by frequency in the text, ${uniform}` : uniform;
    lines.push(`           ${name}: ${shape.join('x')} -> ${shape[0]}x${rank} and ${rank}x${shape[1]}, ${sizes}`);
    lines.push(`           error of its rows ${error}`);
  }
  lines.push(`  cost     ${costText(report.heldOut)}`);
  for (const { target, sequence, speedup } of operations) {
    lines.push(
      `  gain     ${speedup.toFixed(2)} times the speed, by counting operations for ${target}, ${sequence} tokens`,
    );
  }
  if (report.kept.length > 0) lines.push(`  kept     ${report.kept.join(', ')}`);
  if (report.pareto)
    lines.push(
      ...paretoText(report.pareto)
        .split('\n')
        .map((line) => `  ${line}`),
    );
  lines.push(...failures.map((failure) => `  FAILED   ${failure}`));
  return lines.join('\n');
}

function costText(heldOut: HeldOut | undefined): string {
  if (heldOut === undefined) return 'not measured: there are no held-out texts; give --calibrate FILE or --data FILE';
  const { samples, agreement, sqnrDb, accuracy } = heldOut;
  const parts = [
    `agrees with the original on ${percent(agreement)} of ${plural(samples, 'held-out text')}`,
    decibel(sqnrDb),
  ];
  if (accuracy) parts.push(`accuracy ${percent(accuracy.original)} -> ${percent(accuracy.changed)}`);
  return parts.join(', ');
}

function paretoText(rows: readonly FitRow[]): string {
  const hasAccuracy = rows.some(({ heldOut }) => heldOut.accuracy);
  const heading = [
    'norms kept',
    'activations kept',
    'speed',
    'agreement',
    'logits',
    ...(hasAccuracy ? ['accuracy'] : []),
    '',
  ];
  return table([
    heading,
    ...rows.map(({ norms, activations, speedup, heldOut, chosen }) => [
      String(norms),
      String(activations),
      speedup.toFixed(2),
      percent(heldOut.agreement),
      decibel(heldOut.sqnrDb),
      ...(hasAccuracy ? [heldOut.accuracy ? percent(heldOut.accuracy.changed) : ''] : []),
      chosen ? 'chosen' : '',
    ]),
  ]);
}
