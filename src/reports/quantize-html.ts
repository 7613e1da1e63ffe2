import { layerOf } from '../ir/names.ts';
import type { GraphOutline } from '../opened/outline.ts';
import type { QuantizedFile, QuantizeResult } from '../pipelines/quantize/quantize.ts';
import { totalSize } from '../pipelines/write/write-model.ts';
import { agreementHeading, agreementTile, agreementValue } from './agreement.ts';
import { embeddingRows } from './embeddings.ts';
import { fitBody } from './fit-html.ts';
import { chart } from './html/charts.ts';
import { layerLabels, sizeChart, weightRangeChart } from './html/layer-charts.ts';
import { layerMarks } from './html/layer-marks.ts';
import { html, type Markup, NOTHING } from './html/markup.ts';
import { charts, code, failuresList, pageHtml, type Section, type Tile, tiles, warningsList } from './html/page.ts';
import { picture } from './html/picture.ts';
import { STORAGE_STATES, storageNodes } from './html/picture-nodes.ts';
import { scatter } from './html/scatter.ts';
import { numberCell, sortableTable } from './html/tables.ts';
import { weightsTable } from './inspect-html.ts';
import { decibels, percents } from './numbers.ts';
import { roundingsOf } from './quantize.ts';
import { plural, size } from './text.ts';

/** Makes a page of what was written, what it costs and what it looks like, with sections of its own for each file. */
export function quantizeHtml({ source, architecture, task, results, warnings, fit }: QuantizeResult): string {
  const failures = [...(fit?.failures ?? []), ...results.flatMap((file) => file.failures)];
  const schemes = [...new Set(results.map(({ scheme }) => scheme))].join(', ');
  const sections = results.flatMap((file) => {
    const suffix = results.length > 1 ? `, ${file.target}` : '';
    return sectionsOf(file).map(({ title, body }) => ({ title: `${title}${suffix}`, body }));
  });
  return pageHtml({
    title: `${architecture}${task ? `, ${task}` : ''}: ${schemes}`,
    lead: html`from ${code(source)}`,
    verdict: verdictOf(results, failures),
    sections: [
      { title: 'Failures', body: failuresList(failures) },
      { title: 'Replaced before', body: fit ? fitBody(fit) : NOTHING },
      ...sections,
      {
        title: 'Warnings',
        body: warningsList([...new Set([...warnings, ...results.flatMap((file) => file.warnings)])]),
      },
    ],
  });
}

function verdictOf(results: readonly QuantizedFile[], failures: readonly string[]) {
  if (failures.length > 0) return { isGood: false, text: `failed: ${plural(failures.length, 'limit')}` };
  return { isGood: true, text: results.every(({ proof }) => proof) ? 'written and measured' : 'written, not measured' };
}

function sectionsOf(file: QuantizedFile): Section[] {
  const { outline, proof, scan } = file;
  return [
    { title: 'Summary', body: html`${tiles(tilesOf(file))}${filesTable(file)}` },
    {
      title: 'Accuracy',
      body: charts([layerChart(proof?.layers ?? []), paretoChart(file), channelChart(file)]),
    },
    { title: 'Linears with outliers', body: scan ? scanTable(file) : NOTHING },
    { title: '8 bits in place of 4', body: widenedTable(file) },
    {
      title: 'Graph',
      body: outline
        ? picture(storageNodes(outline), { states: STORAGE_STATES, layers: layerMarks(proof?.layers ?? []) })
        : NOTHING,
    },
    { title: 'Layers', body: outline ? charts([sizeChart(outline), rangeChart(file, outline)]) : NOTHING },
    { title: 'Weights', body: outline ? weightsTable(outline) : NOTHING },
    { title: 'Passes', body: passesTable(file) },
  ];
}

function tilesOf(file: QuantizedFile): Tile[] {
  const { files, floatBytes, linears, proof, scheme, form, outline, needs } = file;
  const stored = outline?.weights.reduce((sum, weight) => sum + weight.bytes, 0);
  const counts = Object.entries(linears).map(([how, count]) => `${count} ${how}`);
  const measured: Tile[] = proof
    ? [
        { label: 'SQNR', value: decibels(proof.sqnrDb), note: `${proof.samples} samples, ${proof.runtime}` },
        ...(proof.embeddings
          ? embeddingRows(proof.embeddings).map(([label, value]) => ({ label, value, note: 'with the float model' }))
          : [agreementTile(agreementHeading([proof]), proof, 'with the float model')]),
        ...(proof.accuracy
          ? [
              {
                label: 'accuracy',
                value: percents(proof.accuracy.quantized),
                note: `float: ${percents(proof.accuracy.float)}`,
              },
            ]
          : []),
      ]
    : [];
  return [
    { label: 'file', value: size(totalSize(files)), note: scheme === form ? scheme : `${scheme}, ${form}` },
    ...(stored === undefined
      ? []
      : [
          {
            label: 'weights',
            value: size(stored),
            note: `${percents(stored / floatBytes)} of their ${size(floatBytes)} in f32`,
          },
        ]),
    ...measured,
    ...roundingsOf(file).map(({ what, used, other, usedDb, otherDb, samples }) => ({
      label: what,
      value: used,
      note: `${decibels(usedDb)} on ${plural(samples, 'trial sample')}, ${other} ${decibels(otherDb)}`,
    })),
    {
      label: 'linears',
      value: String(Object.values(linears).reduce((sum, count) => sum + count, 0)),
      note: counts.join(', '),
    },
    ...(needs
      ? [
          {
            label: 'needs',
            value: `ONNX Runtime ${needs.onnxruntime}`,
            note: `or newer: ${needs.operators.join(', ')}`,
          },
        ]
      : []),
  ];
}

function filesTable({ files, inputs, outputs }: QuantizedFile): Markup {
  const named = (items: QuantizedFile['inputs']) =>
    items.map(({ name, type }) => html`<div>${code(`${name} ${type}`)}</div>`);
  return sortableTable({
    caption: 'Files',
    headings: ['file', 'size', 'inputs', 'outputs'],
    rows: files.map(({ path, size: bytes }, i) => [
      code(path),
      numberCell(bytes, size),
      html`${i === 0 ? named(inputs) : ''}`,
      html`${i === 0 ? named(outputs) : ''}`,
    ]),
  });
}

function layerChart(layers: readonly { readonly name: string; readonly sqnrDb: number }[]): Markup {
  return chart({
    title: 'SQNR by layer',
    note: 'Hidden state behind each layer against the float model, 10·log₁₀(Σx² / Σerror²), on eight of the samples.',
    xTitle: 'layer',
    labels: layerLabels(layers.map(({ name }) => layerOf(name) ?? name)),
    yTitle: 'SQNR (dB)',
    kind: 'lines',
    series: [{ name: 'SQNR', values: layers.map(({ sqnrDb }) => (Number.isFinite(sqnrDb) ? sqnrDb : null)) }],
  });
}

function paretoChart({ pareto }: QuantizedFile): Markup {
  if (!pareto) return NOTHING;
  return scatter({
    title: 'Linears kept in higher precision',
    note: 'What keeping more of them costs and brings on the trial samples; the ring is what was chosen.',
    x: { title: 'bytes added (MB)', of: ({ addedBytes }) => addedBytes / 1e6 },
    y: { title: 'SQNR (dB)', of: ({ sqnrDb }) => sqnrDb },
    points: pareto,
    labelOf: ({ kept }) => String(kept),
    isChosen: ({ chosen }) => chosen,
    more: [
      { title: 'linears kept', of: ({ kept }) => kept, text: String },
      {
        title: agreementHeading(pareto),
        of: ({ agreement }) => agreement,
        text: (agreement: number) => agreementValue({ agreement, agreementOf: pareto[0]?.agreementOf ?? 'choices' }),
      },
    ],
  });
}

function widenedTable({ widened }: QuantizedFile): Markup {
  if (widened.length === 0) return NOTHING;
  const rows = widened.map(({ name, sqnrDb, addedBytes }) => [
    code(name),
    numberCell(sqnrDb, decibels),
    numberCell(addedBytes, size),
  ]);
  return sortableTable({
    caption: 'Linears that make most noise for their bytes',
    headings: ['linear', 'alone in 4 bits', 'bytes more'],
    rows,
  });
}

function scanTable({ scan }: QuantizedFile): Markup {
  if (!scan) return NOTHING;
  const rows = scan.sites.map(({ name, peak, sqnrDb, kept: isKept }) => [
    code(name),
    numberCell(peak, (value) => value.toFixed(1)),
    numberCell(sqnrDb, decibels),
    isKept ? scan.keptAs : '',
  ]);
  const rest =
    scan.restDb === undefined ? null : html`<p class="note">Everything else on integers: ${decibels(scan.restDb)}.</p>`;
  return html`${sortableTable({
    caption: 'Linears whose values stand out',
    headings: ['linear', 'max / rms', 'SQNR alone', 'kept as'],
    rows,
  })}${rest}`;
}

/** Chart of channels: where one scale must serve all, the largest decides what is left for the others. */
function channelChart({ channels }: QuantizedFile): Markup {
  const ratio = ({ largest, median }: { readonly largest: number; readonly median: number }) => largest / median;
  // What no pass has scaled is the same before and after, and there is nothing to see.
  const scaled = (channels ?? []).filter(
    ({ before, after }) => before.median > 0 && after.median > 0 && Math.abs(ratio(before) / ratio(after) - 1) > 0.01,
  );
  return chart({
    title: 'Largest channel against the median one',
    note: 'max − min of the widest channel over that of the median channel, on the first calibration samples before passes that equalize, on all of them when ranges were chosen. 1 is best.',
    xTitle: 'value, in graph order',
    labels: scaled.map((_, i) => String(i + 1)),
    yTitle: 'ratio (log)',
    scale: 'log',
    kind: 'lines',
    series: [
      { name: 'before', values: scaled.map(({ before }) => ratio(before)) },
      { name: 'after', values: scaled.map(({ after }) => ratio(after)) },
    ],
    names: scaled.map(({ name }) => name),
  });
}

/** Chart of the ranges of weights, which norms that were folded and channels that were scaled change. */
function rangeChart({ sourceOutline }: QuantizedFile, outline: GraphOutline): Markup {
  return weightRangeChart([
    ...(sourceOutline ? [{ name: 'in the source', outline: sourceOutline }] : []),
    { name: 'as written', outline },
  ]);
}

function passesTable({ passes }: QuantizedFile): Markup {
  const ran = passes.filter(({ rewrites, declined }) => rewrites > 0 || declined.length > 0);
  return sortableTable({
    caption: 'Passes',
    headings: ['pass', 'rewrites', 'decided', 'left alone'],
    rows: ran.map(({ name, rewrites, declined, notes = [] }) => [
      code(name),
      numberCell(rewrites, String),
      ...[notes, declined].map((lines) => html`${lines.map((line) => html`<div>${line}</div>`)}`),
    ]),
  });
}
