import type { ComparedModel, CompareResult } from '../pipelines/compare/compare.ts';
import { lostTitle, shortNames } from './compare.ts';
import { html, type Markup } from './html/markup.ts';
import { charts, code, failuresList, pageHtml, warningsList } from './html/page.ts';
import { scatter } from './html/scatter.ts';
import { numberCell, sortableTable } from './html/tables.ts';
import { percents } from './numbers.ts';
import { plural, size } from './text.ts';

/** Makes a page of several models: a table, and plots of size, time and loss. */
export function compareHtml(result: CompareResult): string {
  const failures = result.rows.flatMap(({ model, failures }) => failures.map((failure) => `${model}: ${failure}`));
  return pageHtml({
    title: 'Models compared',
    lead: html`${plural(result.rows.length, 'model')} against ${code(result.against)}`,
    ...(failures.length > 0 && { verdict: { isGood: false, text: `failed: ${plural(failures.length, 'output')}` } }),
    sections: [
      { title: 'Failures', body: failuresList(failures) },
      { title: 'Models', body: modelsTable(result) },
      { title: 'Choice', body: choiceCharts(result) },
      { title: 'Warnings', body: warningsList(result.warnings) },
    ],
  });
}

function modelsTable(result: CompareResult): Markup {
  const { rows, measure, runs, threads, processor, inputs, metric } = result;
  const table = sortableTable({
    caption: 'Models',
    headings: [
      'model',
      'runtime',
      'size',
      `${measure} ms`,
      'speed',
      'SQNR (dB)',
      'metric',
      `${lostTitle(result)} lost (points)`,
      'changed answers',
      'best',
    ],
    rows: rows.map((row) => [
      code(row.model),
      row.runtime,
      numberCell(row.bytes, size),
      numberCell(row.ms, (value) => value.toFixed(2)),
      numberCell(row.speed, (value) => value.toFixed(2)),
      row.sqnrDb === null ? { text: 'equal', value: Number.MAX_VALUE } : numberCell(row.sqnrDb, (db) => db.toFixed(1)),
      numberCell(row.metric, percents),
      numberCell(row.lost, (points) => points.toFixed(2)),
      numberCell(row.changed, String),
      row.isOnFront ? 'yes' : '',
    ]),
  });
  const what = inputs?.data
    ? html`${plural(inputs.samples, 'sample')} of ${code(inputs.data)}`
    : plural(inputs?.samples ?? 0, 'token sequence');
  const reference = metric === null ? '' : `; the reference has ${percents(metric)}`;
  return html`${table}<p class="note">On ${what}${reference}. Medians of ${runs} interleaved runs, ${plural(threads, 'thread')}, ${processor}. Best: no other model of its format is as small, as fast and as good. LiteRT runs in WebAssembly here: compare its files with each other.</p>`;
}

/** Plots of one format each, as times of two formats are of two runtimes. */
function choiceCharts(result: CompareResult): Markup {
  const lost = lostTitle(result);
  const names = shortNames(result.rows.map(({ model }) => model));
  const nameOf = new Map(result.rows.map((row, i) => [row, names[i] as string]));
  const time = { title: `time of a run (${result.measure} ms)`, of: ({ ms }: ComparedModel) => ms };
  const loss = { title: `${lost} lost (points)`, of: ({ lost }: ComparedModel) => lost };
  const bytes = { title: 'size (MB)', of: ({ bytes }: ComparedModel) => bytes / 1e6 };
  const formats = [...new Set(result.rows.map(({ format }) => format))];
  const plots = formats.flatMap((format) => {
    const points = result.rows.filter((row) => row.format === format);
    const plot = (title: string, x: typeof time, y: typeof time) =>
      scatter({
        title: `${title}, ${format}`,
        note: 'Down and to the left is better. Ringed: no other model of this format is as small, as fast and as good.',
        x,
        y,
        points,
        labelOf: (point) => nameOf.get(point) as string,
        isChosen: ({ isOnFront }) => isOnFront,
        isJoined: false,
        more: [],
      });
    return points.length < 2
      ? []
      : [plot('Time and loss', time, loss), plot('Size and loss', bytes, loss), plot('Size and time', bytes, time)];
  });
  return charts(plots);
}
