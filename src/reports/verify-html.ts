import { layerOf } from '../ir/names.ts';
import type { LintResult } from '../lint/lint-file.ts';
import { AGREEMENT_NAMES, type AgreementOf } from '../pipelines/evaluate/agreement.ts';
import type { TransferLosses } from '../pipelines/evaluate/transfer.ts';
import { LEAST_DB } from '../pipelines/verify/decibels.ts';
import {
  type Confusion,
  type Flips,
  type LayerComparison,
  METRICS,
  type MetricName,
  type TaskMetrics,
  type VerifiedModel,
  type VerifyResult,
  type ViewsAgreement,
} from '../pipelines/verify/types.ts';
import { agreementTile, agreementValue, choicesHeading } from './agreement.ts';
import { embeddingRows } from './embeddings.ts';
import { chart } from './html/charts.ts';
import { layerLabels } from './html/layer-charts.ts';
import { layerMarks } from './html/layer-marks.ts';
import { html, type Markup, NOTHING } from './html/markup.ts';
import { charts, code, failuresList, pageHtml, type Tile, tiles, warningsList } from './html/page.ts';
import { picture } from './html/picture.ts';
import { STORAGE_STATES, storageNodes } from './html/picture-nodes.ts';
import { type Cell, numberCell, sortableTable } from './html/tables.ts';
import { digits, percents, sqnrText } from './numbers.ts';
import { plural } from './text.ts';
import { agreementOf, DISTANCE_NAMES, distanceText, isJudged, lossTitle, marginText, NOT_JUDGED } from './verify.ts';

/** Makes a page of what `mbert verify` found. */
export function verifyHtml(result: VerifyResult): string {
  const { model, against, flips, views, layers, transfer, metrics, lint, failures, warnings } = result;
  const isGood = failures.length === 0;
  return pageHtml({
    title: against ? 'Model against its reference' : 'Model evaluated',
    lead: against ? html`${code(model.path)} against ${code(against.path)}` : code(model.path),
    verdict: { isGood, text: isGood ? goodText(result) : `failed: ${plural(failures.length, 'gate')}` },
    sections: [
      { title: 'Failures', body: failuresList(failures) },
      { title: 'Summary', body: html`${tiles(tilesOf(result))}${modelsTable(result)}` },
      { title: 'Metrics', body: metrics ? metricsTable(metrics) : NOTHING },
      { title: 'Confusion', body: metrics?.confusion ? confusionTables(metrics.confusion) : NOTHING },
      { title: 'Changed answers', body: flips ? flipsTable(flips) : NOTHING },
      { title: 'Views', body: views && result.agreementOf ? viewsBody(views, result.agreementOf) : NOTHING },
      { title: 'Outputs', body: outputsTable(result) },
      { title: 'Layers', body: layers ? layersBody(layers) : NOTHING },
      { title: 'Graph', body: graphBody(result) },
      { title: 'Knowledge transfer', body: transfer ? transferBody(transfer) : NOTHING },
      { title: 'Lint', body: lint ? lintBody(lint) : NOTHING },
      { title: 'Warnings', body: warningsList(warnings) },
    ],
  });
}

function goodText(result: VerifyResult): string {
  return isJudged(result) ? 'ok' : NOT_JUDGED;
}

function tilesOf(result: VerifyResult): Tile[] {
  const { inputs, outputs, embeddings, metrics, drop, layers } = result;
  const sqnr = outputs.map(({ sqnrDb }) => sqnrDb).filter((value) => value !== null);
  const found = agreementOf(result);
  const list: Tile[] = [];
  if (inputs) {
    const padding = inputs.paddedTo === null ? 'unpadded' : `padded to ${inputs.paddedTo} tokens`;
    list.push({
      label: inputs.data === null ? 'token sequences' : 'samples',
      value: String(inputs.samples),
      note: padding,
    });
  }
  if (sqnr.length > 0) list.push({ label: 'lowest SQNR of an output', value: `${Math.min(...sqnr).toFixed(1)} dB` });
  if (embeddings) list.push(...embeddingRows(embeddings).map(([label, value]) => ({ label, value })));
  else if (found) list.push(agreementTile(AGREEMENT_NAMES[found.agreementOf], found));
  if (metrics) {
    const { primary, model, against } = metrics;
    list.push({
      label: METRICS[primary].title,
      value: metricText(primary, model[primary]),
      ...(against && { note: `reference: ${metricText(primary, against[primary])}` }),
    });
  }
  if (drop) {
    const tone = drop.limit === null ? undefined : drop.points <= drop.limit ? 'good' : 'bad';
    list.push({
      label: `${lossTitle(drop)} lost`,
      value: Number.isNaN(drop.points) ? '–' : `${drop.points.toFixed(2).replace('-', '−')} points`,
      ...(drop.limit !== null && { note: `${drop.limit} may be` }),
      ...(tone && { tone }),
    });
  }
  if (layers?.parting) list.push({ label: 'the models part at', value: layers.parting.op, note: layers.parting.name });
  return list;
}

function metricText(name: MetricName, value: number | undefined): string {
  if (value === undefined) return '–';
  return METRICS[name].isShare ? percents(value) : value.toFixed(4);
}

function modelsTable({ model, against, inputs, task }: VerifyResult): Markup {
  const row = (role: string, { path, architecture, runtime, ran, runMs }: VerifiedModel): Cell[] => [
    role,
    code(path),
    architecture ?? '',
    runtime ?? '',
    ran === null ? '' : ran === 'file' ? 'the file' : 'its graph, as ONNX',
    numberCell(runMs, (ms) => `${(ms / 1000).toFixed(2)} s`),
    numberCell(inputs && runMs !== null ? runMs / inputs.samples : null, (ms) => `${ms.toFixed(2)} ms`),
  ];
  const table = sortableTable({
    caption: 'Models',
    headings: ['', 'model', 'architecture', 'runtime', 'what ran', 'time of all runs', 'of one'],
    rows: [row('model', model), ...(against ? [row('reference', against)] : [])],
  });
  const text = inputs && (inputs.data === null ? `token sequences of seed ${inputs.seed}` : `texts of ${inputs.data}`);
  const parts = [...(task ? [`task: ${task}`] : []), ...(text ? [`on ${text}`] : [])];
  const note = parts.join(', ');
  const speed = inputs ? 'Times are wall times of one thread, in turns: mbert bench measures speed.' : '';
  return html`${table}<p class="note">${note}${note && speed ? '. ' : ''}${speed}</p>`;
}

/** Picture of the model, where it was measured by what is behind its layers. */
function graphBody({ outline, layers }: VerifyResult): Markup {
  if (!outline) return NOTHING;
  const marks = layerMarks((layers?.layers ?? []).map(({ modelName, sqnrDb }) => ({ name: modelName, sqnrDb })));
  return picture(storageNodes(outline), { states: STORAGE_STATES, layers: marks });
}

function metricsTable({ samples, model, against, note }: TaskMetrics): Markup {
  const cell = (name: MetricName, of: TaskMetrics['model'] | null): Cell =>
    numberCell(of?.[name], (value) => metricText(name, value));
  const table = sortableTable({
    caption: 'Metrics',
    headings: ['metric', 'reference', 'model'],
    rows: (Object.keys(model) as MetricName[]).map((name) => [
      METRICS[name].title,
      cell(name, against),
      cell(name, model),
    ]),
  });
  return html`${table}<p class="note">${plural(samples, 'label')}${note === null ? '' : `, ${note}`}</p>`;
}

function confusionTables({ classes, model, against }: Confusion): Markup {
  const matrix = (caption: string, rows: Confusion['model']) =>
    sortableTable({
      caption,
      headings: ['label', ...classes],
      rows: rows.map((counts, i) => [classes[i] as string, ...counts.map((count) => numberCell(count, String))]),
    });
  const part = (caption: string, rows: Confusion['model']) => html`<h3>${caption}</h3>${matrix(caption, rows)}`;
  return html`${against ? part('Answers of the reference', against) : NOTHING}${part('Answers of the model', model)}<p class="note">Rows: the labels. Columns: the answers that samples of this label got.</p>`;
}

function flipsTable({ count, shown }: Flips): Markup {
  if (count === 0) return html`<p>All answers are equal.</p>`;
  const table = sortableTable({
    caption: 'Changed answers',
    headings: ['sample', 'text', 'label', 'reference', 'model', 'margin before', 'margin after'],
    rows: shown.map(({ sample, texts, label, reference, model, margins }) => [
      numberCell(sample, String),
      texts?.join(' | ') ?? '',
      label ?? '',
      reference,
      model,
      numberCell(margins?.reference, marginText),
      numberCell(margins?.model, marginText),
    ]),
    total: count,
  });
  return html`<p class="note">Margin: the lead of the largest logit over the second one. An answer of a small margin flips easily.</p>${table}`;
}

/** A table of the views, and for each the texts where the models part most. */
function viewsBody({ measure, views }: ViewsAgreement, of: AgreementOf): Markup {
  const summary = sortableTable({
    caption: 'Agreement by view',
    headings: ['view', AGREEMENT_NAMES[of], 'mean distance', 'worst distance'],
    rows: views.map(({ view, agreement: share, meanDistance, parted }) => [
      view,
      numberCell(share, (value) => agreementValue({ agreement: value, agreementOf: of })),
      numberCell(meanDistance, distanceText),
      numberCell(parted[0]?.distance, distanceText),
    ]),
  });
  const texts = views.map(({ view, samples, parted }) => {
    const caption = `Where they part most: ${view}`;
    const table = sortableTable({
      caption,
      headings: ['sample', 'text', 'reference', 'model', 'distance'],
      rows: parted.map(({ sample, texts: shown, reference, model, distance }) => [
        numberCell(sample, String),
        shown?.join(' | ') ?? '',
        reference ?? '',
        model ?? '',
        numberCell(distance, distanceText),
      ]),
      total: samples,
    });
    return html`<h3>${caption}</h3>${table}`;
  });
  return html`${summary}<p class="note">Both models see the same part of each text. Distance: ${DISTANCE_NAMES[measure]}.</p>${texts}`;
}

/** Cell of an SQNR, of which null is either "equal" or "not a number": the error tells which. */
function sqnrCell(sqnrDb: number | null, isEqual: boolean): Cell {
  if (sqnrDb !== null) return numberCell(sqnrDb, (value) => `${value.toFixed(1)} dB`);
  return { text: isEqual ? 'equal' : '–', value: isEqual ? Number.MAX_VALUE : null };
}

function outputsTable({ outputs }: VerifyResult): Markup {
  if (outputs.length === 0) return NOTHING;
  return sortableTable({
    caption: 'Outputs',
    headings: [
      'output',
      'in the model',
      'max error',
      'SQNR',
      choicesHeading(outputs) === 'argmax' ? 'largest at the same place' : 'decided alike',
    ],
    rows: outputs.map(({ name, modelName, maxAbsError, sqnrDb, agreement }) => [
      code(name),
      name === modelName ? '' : code(modelName),
      maxAbsError === null ? { text: 'NaN', value: null } : numberCell(maxAbsError, digits),
      sqnrCell(sqnrDb, maxAbsError === 0),
      numberCell(agreement, percents),
    ]),
  });
}

function layersBody({ samples, compared, scale, layers, parting }: LayerComparison): Markup {
  const how = scale === 'as-is' ? '' : ', each channel up to one factor and one offset';
  const plot = chart({
    title: 'SQNR by layer',
    note: 'The end of each layer against the reference, 10·log₁₀(Σx² / Σerror²). Layers that are equal, or of which nothing is left, have no point.',
    xTitle: 'layer',
    labels: layerLabels(layers.map(({ name }) => layerOf(name) ?? name)),
    names: layers.map(({ name }) => name),
    yTitle: 'SQNR (dB)',
    kind: 'lines',
    series: [{ name: 'SQNR', values: layers.map(({ sqnrDb }) => (sqnrDb === LEAST_DB ? null : sqnrDb)) }],
  });
  const verdict = parting
    ? html`<p>The models part at ${parting.op} ${code(parting.name)}${
        parting.name === parting.modelName ? '' : html` (${code(parting.modelName)} in the model)`
      }: ${sqnrText(parting.sqnrDb)}; what it reads: ${sqnrText(parting.before)}.</p>`
    : html`<p>No inner value is far from the reference.</p>`;
  return html`${verdict}<p class="note">${plural(compared, 'inner value')} compared on ${plural(samples, 'sample')}${how}.</p>${charts([plot])}`;
}

/** Charts and a table of the paper's losses: Sun et al. 2020, section 3.3. */
function transferBody({ samples, tokens, layers, logitsKl }: TransferLosses): Markup {
  const labels = layers.map(({ student, teacher }) => (student === teacher ? `${student}` : `${student}:${teacher}`));
  const heads = Math.max(0, ...layers.map(({ attentionKl }) => attentionKl.length));
  const common = {
    xTitle: layers.every(({ student, teacher }) => student === teacher) ? 'layer' : 'student:teacher layer',
    labels,
    kind: 'lines',
    scale: 'log',
  } as const;
  const positive = (value: number | undefined) => (value !== undefined && value > 0 ? value : null);
  const mse = chart({
    ...common,
    title: 'Feature map transfer',
    note: "Mean squared distance from the teacher's hidden state, in proportion to the mean square of that.",
    yTitle: 'MSE / power (log)',
    series: [
      {
        name: 'MSE / power',
        values: layers.map(({ featureMapMse, featureMapPower }) => positive(featureMapMse / featureMapPower)),
      },
    ],
  });
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const kl = chart({
    ...common,
    title: 'Attention transfer',
    note: 'KL(teacher ‖ student) of the attention of the heads of a layer.',
    yTitle: 'KL (nats, log)',
    series: [
      { name: 'mean of the heads', values: layers.map(({ attentionKl }) => positive(mean(attentionKl))) },
      ...(heads > 1
        ? [{ name: 'worst head', values: layers.map(({ attentionKl }) => positive(Math.max(...attentionKl))) }]
        : []),
    ],
  });
  const headings = [
    'student',
    'teacher',
    'feature MSE',
    'power',
    ...Array.from({ length: heads }, (_, i) => `KL head ${i}`),
  ];
  const table = sortableTable({
    caption: 'Knowledge transfer losses',
    headings,
    rows: layers.map(({ student, teacher, featureMapMse, featureMapPower, attentionKl }) => [
      numberCell(student, String),
      numberCell(teacher, String),
      numberCell(featureMapMse, digits),
      numberCell(featureMapPower, digits),
      ...Array.from({ length: heads }, (_, i) => numberCell(attentionKl[i], digits)),
    ]),
  });
  const logits = logitsKl === null ? '' : ` KL of the answers: ${digits(logitsKl)} nats.`;
  return html`<p class="note">On ${plural(samples, 'sample')}, ${plural(tokens, 'token')}. KL in nats.${logits}</p>${charts([mse, kl])}${table}`;
}

function lintBody({ rules, findings }: LintResult): Markup {
  if (findings.length === 0) return html`<p>${plural(rules, 'rule')}, no findings.</p>`;
  return sortableTable({
    caption: 'Findings',
    headings: ['severity', 'rule', 'where', 'problem'],
    rows: findings.map(({ severity, rule, where, problem }) => [severity, code(rule), code(where), problem]),
  });
}
