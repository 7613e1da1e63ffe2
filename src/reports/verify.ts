import type { LintResult } from '../lint/lint-file.ts';
import { AGREEMENT_NAMES, type Agreement, type AgreementOf } from '../pipelines/evaluate/agreement.ts';
import type { TransferLosses } from '../pipelines/evaluate/transfer.ts';
import {
  type Confusion,
  type Drop,
  type Flips,
  type LayerComparison,
  METRICS,
  type MetricName,
  type TaskMetrics,
  type VerifiedModel,
  type VerifyResult,
  type ViewsAgreement,
} from '../pipelines/verify/types.ts';
import { agreementValue, agreementWords, choicesHeading } from './agreement.ts';
import { embeddingRows } from './embeddings.ts';
import { percents, sqnrText } from './numbers.ts';
import { filledColumns, plural, table } from './text.ts';

/** First part of a name: TensorFlow's converter names a fused value by all that went into it. */
const shortName = (name: string) => name.split(';').find((part) => part !== '') ?? name;

/** Prints what `mbert verify` found: what ran on what, then outputs, metrics, layers, losses and the verdict. */
export function verifyResultText(result: VerifyResult): string {
  const { outputs, flips, views, metrics, layers, transfer, lint } = result;
  const parts = [headingText(result)];
  if (outputs.length > 0) parts.push(outputsText(result));
  if (flips && flips.count > 0) parts.push(flipsText(flips));
  if (views && result.agreementOf) parts.push(viewsText(views, result.agreementOf));
  if (metrics) parts.push(metricsText(metrics));
  if (metrics?.confusion) parts.push(confusionText(metrics.confusion));
  if (layers) parts.push(layersText(layers));
  if (transfer) parts.push(transferText(transfer));
  if (lint) parts.push(lintText(lint));
  parts.push(verdictText(result));
  return parts.join('\n\n');
}

function headingText({ model, against, task, inputs }: VerifyResult): string {
  const lines = [`${modelText(model)}${task ? `, ${task}` : ''}`];
  if (against) lines.push(`against ${modelText(against)}`);
  if (inputs) {
    const padding = inputs.paddedTo === null ? 'unpadded' : `padded to ${inputs.paddedTo} tokens on both sides`;
    const what = inputs.data
      ? `${plural(inputs.samples, 'sample')} of ${inputs.data}`
      : `${plural(inputs.samples, 'token sequence')} of seed ${inputs.seed}`;
    lines.push(`on ${what}, ${against ? padding : padding.replace(' on both sides', '')}`);
  }
  return lines.join('\n');
}

function modelText({ path, architecture, runtime, ran }: VerifiedModel): string {
  return architecture === null ? path : `${path}: ${architecture}, ${ran === 'graph' ? 'its graph ' : ''}in ${runtime}`;
}

/** A result's agreement with what it is; undefined without a reference. */
export function agreementOf({ agreement, agreementOf: of, outputs }: VerifyResult): Agreement | undefined {
  if (of === null) return undefined;
  const hasNaN = outputs.some(({ maxAbsError }) => maxAbsError === null);
  return { agreement, agreementOf: of, ...(hasNaN && { sqnrDb: Number.NaN }) };
}

function outputsText(result: VerifyResult): string {
  const { outputs, embeddings } = result;
  const found = agreementOf(result);
  const rows = outputs.map(({ name, modelName, maxAbsError, sqnrDb, agreement: share }) => [
    name === modelName ? name : `${name} / ${modelName}`,
    maxAbsError === null ? 'NaN' : maxAbsError.toExponential(1),
    maxAbsError === null ? '' : sqnrText(sqnrDb),
    share === null ? '' : percents(share),
  ]);
  const named = embeddings
    ? embeddingRows(embeddings)
    : found === undefined
      ? []
      : [[AGREEMENT_NAMES[found.agreementOf], agreementWords(found)]];
  const answers = named.map((row) => `\n${row.join('  ')}`).join('');
  return `${table([['output', 'max error', 'SQNR', choicesHeading(outputs)], ...rows])}${answers}`;
}

/** Name of what a loss is measured in. */
export function lossTitle({ of }: Drop): string {
  if (of === 'agreement') return of;
  if (of === 'cosine' || of === 'correlation') return AGREEMENT_NAMES[of];
  return of === 'similarities' ? 'similarity ranks' : METRICS[of].title;
}

function metricsText({ samples, model, against, note }: TaskMetrics): string {
  const names = Object.keys(model) as MetricName[];
  const value = (name: MetricName, of: TaskMetrics['model'] | null) => {
    const number = of?.[name];
    if (number === undefined) return '';
    return METRICS[name].isShare ? percents(number) : number.toFixed(4);
  };
  const rows = names.map((name) => [
    METRICS[name].title,
    ...(against ? [value(name, against)] : []),
    value(name, model),
  ]);
  const heading = [`metric${note ? ` (${note})` : ''}`, ...(against ? ['reference'] : []), 'model'];
  return `${table([heading, ...rows])}\n${plural(samples, 'label')}`;
}

/** Flips that are printed; the page and JSON have more. */
const SHOWN_FLIPS = 5;

/** Letters of a text that are printed. */
const SHOWN_LETTERS = 60;

function flipsText({ count, shown }: Flips): string {
  const rows = shown
    .slice(0, SHOWN_FLIPS)
    .map(({ sample, texts, label, reference, model, margins }) => [
      String(sample),
      reference,
      model,
      label ?? '',
      marginText(margins?.reference),
      texts === null ? '' : shortText(texts.join(' | ')),
    ]);
  const rest = count > rows.length ? `\nand ${count - rows.length} more: --json or --report has them` : '';
  return `${plural(count, 'answer')} changed, the surest first\n${table(filledColumns(['sample', 'reference', 'model', 'label', 'margin', 'text'], rows))}${rest}`;
}

/** Texts of each view that are printed; the page and JSON have more. */
const SHOWN_PARTED = 3;

/** Names what distances of answers are. */
export const DISTANCE_NAMES: { readonly [M in ViewsAgreement['measure']]: string } = {
  probability: 'probability that moved',
  difference: 'difference',
  cosine: '1 - cosine',
};

/** A distance; what is no number is an answer of NaN. */
export function distanceText(distance: number | null | undefined): string {
  return distance === null || distance === undefined ? 'NaN' : distance.toFixed(4);
}

/** Views by agreement, then the texts where the models part most. */
function viewsText({ measure, views }: ViewsAgreement, of: AgreementOf): string {
  const rows = views.map(({ view, agreement: share, meanDistance, parted }) => [
    view,
    agreementValue({ agreement: share, agreementOf: of }),
    distanceText(meanDistance),
    distanceText(parted[0]?.distance),
  ]);
  const worst = views.flatMap(({ view, parted }) =>
    parted
      .slice(0, SHOWN_PARTED)
      .filter(({ distance }) => distance !== 0)
      .map(({ sample, texts, reference, model, distance }) => [
        view,
        String(sample),
        reference ?? '',
        model ?? '',
        distanceText(distance),
        texts === null ? '' : shortText(texts.join(' | ')),
      ]),
  );
  const heading = ['view', 'sample', 'reference', 'model', 'distance', 'text'];
  const where = worst.length === 0 ? '' : `\nwhere they part most\n${table(filledColumns(heading, worst))}`;
  return `agreement by view; distance: ${DISTANCE_NAMES[measure]}\n${table([['view', AGREEMENT_NAMES[of], 'mean distance', 'worst'], ...rows])}${where}`;
}

/** A margin in logits. */
export function marginText(margin: number | null | undefined): string {
  return margin === null || margin === undefined ? '' : margin.toFixed(3);
}

/** Control characters in a text would move the cursor or colour the terminal. */
function shortText(text: string): string {
  const plain = text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ');
  return plain.length > SHOWN_LETTERS ? `${plain.slice(0, SHOWN_LETTERS)}…` : plain;
}

/** Most classes of a matrix that fits on a terminal. */
const MAX_COLUMNS = 10;

function confusionText({ classes, model, against }: Confusion): string {
  if (classes.length > MAX_COLUMNS) return `confusion of ${classes.length} classes: --json or --report has it`;
  const matrix = (title: string, rows: Confusion['model']) =>
    table([[title, ...classes], ...rows.map((counts, i) => [classes[i] as string, ...counts.map(String)])]);
  const title = (of: string) => `label \\ ${of}`;
  return [...(against ? [matrix(title('reference'), against)] : []), matrix(title('model'), model)].join('\n\n');
}

function layersText({ samples, compared, scale, layers, parting }: LayerComparison): string {
  const how = scale === 'as-is' ? '' : ', each channel up to a factor and an offset';
  const lines = [`${plural(compared, 'inner value')} compared on ${plural(samples, 'sample')}${how}`];
  if (layers.length > 0)
    lines.push(table([['layer', 'SQNR'], ...layers.map(({ name, sqnrDb }) => [shortName(name), sqnrText(sqnrDb)])]));
  if (parting) {
    const { name, modelName, op, sqnrDb, before } = parting;
    const other = name === modelName ? '' : ` (${shortName(modelName)} in the model)`;
    lines.push(
      `the models part at ${op} ${shortName(name)}${other}: ${sqnrText(sqnrDb)}, what it reads ${sqnrText(before)}`,
    );
  } else lines.push('no inner value is far from the reference');
  return lines.join('\n');
}

function transferText({ samples, tokens, layers, logitsKl }: TransferLosses): string {
  const rows = layers.map(({ student, teacher, featureMapMse, featureMapPower, attentionKl }) => [
    `${student}`,
    `${teacher}`,
    featureMapMse.toExponential(2),
    `${((100 * featureMapMse) / featureMapPower).toFixed(2)} %`,
    attentionKl.map((value) => value.toFixed(4)).join(' '),
  ]);
  const heading = ['layer', 'teacher', 'feature MSE', 'of power', 'attention KL by head, nats'];
  const logits = logitsKl === null ? '' : `\nlogits KL ${logitsKl.toFixed(4)} nats`;
  return `knowledge transfer on ${plural(samples, 'sample')}, ${plural(tokens, 'token')}\n${table([heading, ...rows])}${logits}`;
}

function lintText({ rules, findings }: LintResult): string {
  const rows = findings.map(({ severity, rule, where, problem }) => `  ${severity} ${rule}: ${where}: ${problem}`);
  return [`lint: ${plural(rules, 'rule')}, ${plural(findings.length, 'finding')}`, ...rows].join('\n');
}

/** Verdict where nothing was asked for: numbers alone are neither good nor bad. */
export const NOT_JUDGED = 'measured, not judged';

/** Whether something was asked that has an answer: a limit, or the rules of a file. */
export function isJudged({ drop, lint, failures }: VerifyResult): boolean {
  return failures.length > 0 || lint !== null || (drop !== null && drop.limit !== null);
}

function verdictText(result: VerifyResult): string {
  if (!isJudged(result)) return `${NOT_JUDGED}: --max-drop POINTS sets a limit`;
  const { drop, failures } = result;
  const lines = failures.map((failure) => `FAILED ${failure}`);
  if (drop && drop.limit !== null && failures.length === 0) {
    lines.push(`${drop.points.toFixed(2)} points of ${lossTitle(drop)} lost, ${drop.limit} may be`);
  }
  if (failures.length === 0) lines.push('ok');
  return lines.join('\n');
}
