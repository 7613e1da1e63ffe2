import { sizeOf } from '../ir/shape.ts';
import type { BenchResult, BenchRow } from '../pipelines/bench/bench.ts';
import { measuredLines, measuredTimes, milliseconds, percent, webAssemblyLines } from './bench.ts';
import { shortNames } from './compare.ts';
import { html, type Markup, NOTHING } from './html/markup.ts';
import { charts, code, pageHtml, warningsList } from './html/page.ts';
import { rowBars } from './html/row-bars.ts';
import { numberCell, sortableTable } from './html/tables.ts';
import { byteUnit, digits } from './numbers.ts';
import { plural, size } from './text.ts';

/** Makes a page of timed models: a table, plots of times and memory, and where the time goes. */
export function benchHtml(result: BenchResult): string {
  const { rows, warnings } = result;
  const names = shortNames(rows.map(({ model }) => model));
  return pageHtml({
    title: rows.length === 1 ? 'Model timed' : 'Models timed',
    lead: `${plural(rows.length, 'model')}: ${measuredLines(result).join(', ')}`,
    sections: [
      { title: 'Models', body: html`${modelsTable(result)}${notes(result)}` },
      { title: 'Warnings', body: html`${warningsList(warnings)}${slowerList(rows)}` },
      { title: 'Time and memory', body: charts([timeBars(result, names), memoryBars(rows, names)]) },
      { title: 'Time by op', body: charts(opBars(rows, names)) },
      { title: 'Most expensive nodes', body: nodesTable(rows, names) },
    ],
  });
}

/** Number of token sequences in a second: a row of a question's choices is one each. */
function sequencesPerSecond(result: BenchResult, row: BenchRow): number {
  const leading = row.shape.slice(0, -1).filter((dim) => dim !== 'varies');
  return (1000 * sizeOf(leading)) / measuredTimes(result, row).median;
}

function modelsTable(result: BenchResult): Markup {
  const { rows, measure } = result;
  return sortableTable({
    caption: 'Models',
    headings: [
      'model',
      'runtime',
      'tokens',
      'size',
      'load ms',
      'memory',
      `${measure} ms`,
      '10–90 %',
      ...(measure === 'cpu' ? ['wall ms'] : []),
      'sequences/s',
      'speed',
    ],
    rows: rows.map((row) => {
      const { median, low, high } = measuredTimes(result, row);
      return [
        code(row.model),
        row.runtime,
        row.shape.join('×'),
        numberCell(row.bytes, size),
        numberCell(row.loadMs, (value) => value.toFixed(0)),
        numberCell(row.peakMemoryBytes, size),
        numberCell(median, milliseconds),
        numberCell(high - low, () => `${milliseconds(low)}–${milliseconds(high)}`),
        ...(measure === 'cpu' ? [numberCell(row.wallMs.median, milliseconds)] : []),
        numberCell(sequencesPerSecond(result, row), digits),
        numberCell(row.ratio, (value) => value.toFixed(2)),
      ];
    }),
  });
}

function notes(result: BenchResult): Markup {
  const { rows } = result;
  const lines = [
    'Speed: how many times as fast as the first model. Ratios within the spread of 10 to 90 % mean nothing.',
    `Sequences in a second are by the same clock: ${result.measure === 'cpu' ? 'CPU time of the process' : 'wall time'}.`,
    ...(rows.some(({ peakMemoryBytes }) => peakMemoryBytes !== null)
      ? ['Memory: what loading and one run take at most, in a process of its own, over Node and the runtime.']
      : []),
    ...webAssemblyLines(rows).map((line) => `${line}.`),
  ];
  return html`<ul class="note">${lines.map((line) => html`<li>${line}</li>`)}</ul>`;
}

function slowerList(rows: readonly BenchRow[]): Markup {
  const slower = rows.flatMap(({ model, slower: [heading, ...reasons] }) =>
    heading === undefined ? [] : [{ model, heading, reasons }],
  );
  if (slower.length === 0) return NOTHING;
  return html`<ul class="note">${slower.map(
    ({ model, heading, reasons }) =>
      html`<li>${code(model)}: ${heading}<ul>${reasons.map((reason) => html`<li>${reason}</li>`)}</ul></li>`,
  )}</ul>`;
}

/** Plot of times; one model has nothing to be beside. */
function timeBars(result: BenchResult, names: readonly string[]): Markup {
  const { rows, measure } = result;
  if (rows.length < 2) return NOTHING;
  const runtimes = [...new Set(rows.map(({ runtime }) => runtime))];
  return rowBars({
    title: 'Time of a run',
    note: 'Bars end at the median. Lines go from the 10th to the 90th percentile.',
    xTitle: `${measure} ms`,
    colours: runtimes,
    rows: rows.map((row, i) => {
      const { median, low, high } = measuredTimes(result, row);
      const text = `${milliseconds(median)} (${milliseconds(low)}–${milliseconds(high)})`;
      const colour = runtimes.indexOf(row.runtime);
      return { name: names[i] as string, value: median, text, spread: { low, high }, colour };
    }),
    table: sortableTable({
      caption: 'Time of a run',
      headings: ['model', '10 %', `median ${measure} ms`, '90 %'],
      rows: rows.map((row) => {
        const { median, low, high } = measuredTimes(result, row);
        return [code(row.model), ...[low, median, high].map((value) => numberCell(value, digits))];
      }),
    }),
  });
}

/** Plot of the memory that models take; one model has nothing to be beside. */
function memoryBars(rows: readonly BenchRow[], names: readonly string[]): Markup {
  const measured = rows.flatMap(({ model, bytes, peakMemoryBytes }, i) =>
    peakMemoryBytes === null ? [] : [{ model, name: names[i] as string, bytes, peakMemoryBytes }],
  );
  if (measured.length < 2) return NOTHING;
  const unit = byteUnit(Math.max(...measured.map(({ peakMemoryBytes }) => peakMemoryBytes)));
  return rowBars({
    title: 'Memory at most',
    note: 'Over Node and the runtime, in a process of its own for each model.',
    xTitle: unit.name,
    rows: measured.map(({ name, peakMemoryBytes }) => ({
      name,
      value: peakMemoryBytes / unit.size,
      text: size(peakMemoryBytes),
    })),
    table: sortableTable({
      caption: 'Memory at most',
      headings: ['model', 'memory', 'file'],
      rows: measured.map(({ model, bytes, peakMemoryBytes }) => [
        code(model),
        numberCell(peakMemoryBytes, size),
        numberCell(bytes, size),
      ]),
    }),
  });
}

/** Most ops that are drawn: all are in the table below. */
const DRAWN_OPS = 8;

/** A plot for each model that was profiled, on one axis, so that bars of two compare. */
function opBars(rows: readonly BenchRow[], names: readonly string[]): Markup[] {
  const most = Math.max(0, ...rows.map(({ profile }) => profile?.ops[0]?.ms ?? 0));
  return rows.flatMap(({ profile }, i) => {
    if (profile === null) return [];
    const title = `Time by op, ${names[i]}`;
    const plot = rowBars({
      title,
      note: `${milliseconds(profile.kernelMs)} ms of a run are in kernels, by ONNX Runtime's profiler in a session of its own.`,
      xTitle: 'ms',
      most,
      rows: profile.ops.slice(0, DRAWN_OPS).map(({ op, count, ms, share }) => ({
        name: `${count} ${op}`,
        value: ms,
        text: `${digits(ms)} (${percent(share)})`,
      })),
      table: sortableTable({
        caption: title,
        headings: ['op', 'nodes', 'ms', 'share'],
        rows: profile.ops.map(({ op, count, ms, share }) => [
          code(op),
          numberCell(count, String),
          numberCell(ms, digits),
          numberCell(share, percent),
        ]),
      }),
    });
    return [plot];
  });
}

function nodesTable(rows: readonly BenchRow[], names: readonly string[]): Markup {
  const nodes = rows.flatMap(({ profile }, i) => (profile?.nodes ?? []).map((node) => ({ ...node, model: names[i] })));
  if (nodes.length === 0) return NOTHING;
  const isOne = new Set(nodes.map(({ model }) => model)).size === 1;
  return sortableTable({
    caption: 'Most expensive nodes',
    headings: ['model', 'node', 'op', 'ms', 'share'],
    rows: nodes.map(({ model, name, op, ms, share }) => [
      isOne ? '' : code(model as string),
      code(name),
      code(op),
      numberCell(ms, digits),
      numberCell(share, percent),
    ]),
  });
}
