import type { LayerLosses } from '../pipelines/evaluate/transfer.ts';
import type { BudgetRow, Distillation, FitReport, FitRow, HeldOut, Pruning, Transfer } from '../pipelines/fit/types.ts';
import type { SampleManifest } from '../samples/open-samples.ts';
import { agreementHeading, agreementValue, agreementWords } from './agreement.ts';
import { embeddingRows } from './embeddings.ts';
import { percents, sqnrText } from './numbers.ts';
import { indented, plural, size, table } from './text.ts';

/** Prints what was changed, on what text, what it costs and what it brings: nothing is written before this is said. */
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
    const uniform = `${percents(split.uniformError)} with all words alike`;
    const error = calibration ? `${percents(split.relativeError)} by frequency in the text, ${uniform}` : uniform;
    lines.push(`           ${name}: ${shape.join('x')} -> ${shape[0]}x${rank} and ${rank}x${shape[1]}, ${sizes}`);
    lines.push(`           error of its rows ${error}`);
  }
  if (report.pruning) lines.push(...pruningLines(report.pruning));
  if (report.distillation) lines.push(`  trained  ${distillationText(report.distillation)}`);
  lines.push(`  cost     ${costText(report.heldOut, textFlags(report.calibration))}`);
  if (report.transfer) lines.push(...indented(transferText(report.transfer), 11));
  for (const { target, sequence, speedup } of operations) {
    lines.push(
      `  gain     ${speedup.toFixed(2)} times the speed, by counting operations for ${target}, ${sequence} tokens`,
    );
  }
  if (report.kept.length > 0) lines.push(`  kept     ${report.kept.join(', ')}`);
  if (report.pareto) lines.push(...indented(paretoText(report.pareto), 2));
  if (report.pruning?.budgets) lines.push(...indented(budgetsText(report.pruning.budgets), 2));
  lines.push(...failures.map((failure) => `  FAILED   ${failure}`));
  return lines.join('\n');
}

/**
 * Prints losses layer by layer, as replaced and as fitted: the error of feature maps in proportion, and attention's
 * divergence over heads.
 */
function transferText({ before, after }: Transfer): string {
  const share = ({ featureMapMse, featureMapPower }: LayerLosses) => percents(featureMapMse / featureMapPower);
  const divergence = ({ attentionKl }: LayerLosses) =>
    (attentionKl.reduce((sum, value) => sum + value, 0) / attentionKl.length).toFixed(4);
  const rows = after.layers.map((layer, i) => {
    const first = before.layers[i] as LayerLosses;
    return [String(layer.student), share(first), share(layer), divergence(first), divergence(layer)];
  });
  const heading = ['layer', 'feature MSE copied', 'fitted', 'attention KL copied', 'fitted'];
  const answers = [before, after].map(({ logitsKl }) => logitsKl?.toFixed(4));
  const last = answers[0] === undefined ? '' : `\nlogits KL ${answers.join(' -> ')} nats`;
  return `knowledge transfer on ${plural(after.samples, 'held-out text')}:\n${table([heading, ...rows])}${last}`;
}

/** Prints how many heads and neurons are left, in all and of each layer in turn. */
export function pruningLines({ share, groups }: Pruning): string[] {
  const lines = (['heads', 'neurons'] as const).flatMap((kind) => {
    const own = groups.filter((group) => group.kind === kind);
    if (own.length === 0) return [];
    const [kept, count] = [sumOf(own.map((group) => group.kept)), sumOf(own.map((group) => group.count))];
    return [`${kept} of ${count} ${kind}: ${own.map((group) => group.kept).join(' ')}`];
  });
  const first = `  left     ${percents(share)} of the operations at most; `;
  return lines.map((line, i) => (i === 0 ? `${first}${line}` : `           ${line}`));
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function budgetsText(rows: readonly BudgetRow[]): string {
  const hasAccuracy = rows.some(({ heldOut }) => heldOut.accuracy);
  const heading = [
    'operations',
    'speed',
    agreementHeading(rows.map(({ heldOut }) => heldOut)),
    'logits',
    ...(hasAccuracy ? ['accuracy'] : []),
    '',
  ];
  return table([
    heading,
    ...rows.map(({ share, speedup, heldOut, chosen }) => [
      percents(share),
      speedup.toFixed(2),
      agreementValue(heldOut),
      sqnrText(heldOut.sqnrDb),
      ...(hasAccuracy ? [heldOut.accuracy ? percents(heldOut.accuracy.changed) : ''] : []),
      chosen ? 'chosen' : '',
    ]),
  ]);
}

/** Tells what training was worth, or that it was left. */
export function distillationText({ steps, batch, texts, trial, isKept }: Distillation): string {
  const what = `${plural(steps, 'step')} of ${batch} texts, drawn from ${texts}`;
  if (trial === undefined) return `${what}, not measured: there are no held-out texts`;
  const worth = `${sqnrText(trial.before)} -> ${sqnrText(trial.after)} on ${plural(trial.samples, 'held-out text')}`;
  return `${what}: ${worth}${isKept ? '' : ', so the fit is taken without it; more steps may help'}`;
}

/** Flags that give texts to measure on, by what is calibrated on already. */
export function textFlags(calibration: SampleManifest | undefined): string {
  if (calibration === undefined) return '--calibrate FILE or --data FILE';
  return `--data FILE, or --samples below the ${calibration.count} of ${calibration.source} that were fitted to`;
}

/** Says what a change costs on held-out texts; where there are none, which flags give some. */
export function costText(heldOut: HeldOut | undefined, flags = textFlags(undefined)): string {
  if (heldOut === undefined) return `not measured: there are no held-out texts; give ${flags}`;
  const { samples, agreement, agreementOf, sqnrDb, accuracy, embeddings } = heldOut;
  const agreed = embeddings
    ? `against the original on ${plural(samples, 'held-out text')}: ${embeddingRows(embeddings)
        .map((row) => row.join(' '))
        .join(', ')}`
    : agreementOf === 'choices'
      ? `agrees with the original on ${percents(agreement)} of ${plural(samples, 'held-out text')}`
      : `${agreementHeading([heldOut])} with the original on ${plural(samples, 'held-out text')}: ${agreementWords(heldOut)}`;
  const parts = [agreed, sqnrText(sqnrDb)];
  if (accuracy) parts.push(`accuracy ${percents(accuracy.original)} -> ${percents(accuracy.changed)}`);
  return parts.join(', ');
}

function paretoText(rows: readonly FitRow[]): string {
  const hasAccuracy = rows.some(({ heldOut }) => heldOut.accuracy);
  const heading = [
    'norms kept',
    'activations kept',
    'speed',
    agreementHeading(rows.map(({ heldOut }) => heldOut)),
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
      agreementValue(heldOut),
      sqnrText(heldOut.sqnrDb),
      ...(hasAccuracy ? [heldOut.accuracy ? percents(heldOut.accuracy.changed) : ''] : []),
      chosen ? 'chosen' : '',
    ]),
  ]);
}
