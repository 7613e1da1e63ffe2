import type { FoundModel, SearchResult } from '../pipelines/search/types.ts';
import { agreementValue } from './agreement.ts';
import { html, type Markup } from './html/markup.ts';
import { charts, code, failuresList, pageHtml, warningsList } from './html/page.ts';
import { scatter } from './html/scatter.ts';
import { numberCell, sortableTable } from './html/tables.ts';
import { percents } from './numbers.ts';
import { agreesHeading, budgetText, layerText, missedText, sourceText } from './search.ts';
import { plural, size } from './text.ts';

/** Makes a page of a search: what was found, the front, and what became of the layers. */
export function searchHtml(result: SearchResult): string {
  const { models, missed, source } = result;
  const failures = missed.map(missedText);
  return pageHtml({
    title: 'Students found',
    lead: html`${plural(models.length, 'student')} of ${code(source)}`,
    ...(failures.length > 0 && { verdict: { isGood: false, text: `not met: ${plural(failures.length, 'budget')}` } }),
    sections: [
      { title: 'Not met', body: failuresList(failures) },
      { title: 'Students', body: modelsTable(result) },
      { title: 'Front', body: frontCharts(models) },
      { title: 'Layers', body: layersTable(models) },
      { title: 'Warnings', body: warningsList(result.warnings) },
    ],
  });
}

function modelsTable(result: SearchResult): Markup {
  const table = sortableTable({
    caption: 'Students',
    headings: [
      'file',
      'budget',
      'size',
      'form',
      'time',
      'operations',
      agreesHeading(result.models),
      'logits (dB)',
      'accuracy',
      'best',
    ],
    rows: result.models.map(({ path, budget, bytes, form, speed, operations, heldOut, isOnFront }) => [
      code(path),
      budgetText(budget),
      numberCell(bytes, size),
      form,
      numberCell(1 / speed.speedup, (ratio) => ratio.toFixed(2)),
      numberCell(operations, (share) => share.toFixed(2)),
      { text: heldOut ? agreementValue(heldOut) : '', value: heldOut?.agreement ?? null },
      numberCell(heldOut?.sqnrDb ?? null, (db) => db.toFixed(1)),
      numberCell(heldOut?.accuracy?.changed ?? null, percents),
      isOnFront ? 'yes' : '',
    ]),
  });
  return html`${table}<p class="note">${sourceText(result)}. Time and operations are shares of the teacher's. Best: no other student is as small, as fast and as good.</p>`;
}

function frontCharts(models: readonly FoundModel[]): Markup {
  const lost = {
    title:
      models[0]?.heldOut?.agreementOf === 'choices' ? 'answers changed (%)' : `100 · (1 - ${agreesHeading(models)})`,
    of: ({ heldOut }: FoundModel) => (heldOut ? 100 * (1 - heldOut.agreement) : Number.NaN),
  };
  const bytes = { title: 'size (MB)', of: ({ bytes }: FoundModel) => bytes / 1e6 };
  const time = { title: "time (the teacher's = 1)", of: ({ speed }: FoundModel) => 1 / speed.speedup };
  const plot = (title: string, x: typeof bytes, y: typeof bytes) =>
    scatter({
      title,
      note: 'Down and to the left is better. Ringed: no other student is as small, as fast and as good.',
      x,
      y,
      points: models,
      labelOf: ({ budget }) => budgetText(budget),
      isChosen: ({ isOnFront }) => isOnFront,
      more: [],
    });
  return charts(models.length < 2 ? [] : [plot('Size and loss', bytes, lost), plot('Time and loss', time, lost)]);
}

function layersTable(models: readonly FoundModel[]): Markup {
  const count = models[0]?.layers.length ?? 0;
  return sortableTable({
    caption: 'Layers: heads (h) and neurons (n) that are left',
    headings: ['part', ...models.map(({ budget }) => budgetText(budget))],
    rows: [
      ['columns of the word table', ...models.map(({ wordColumns }) => numberCell(wordColumns, String))],
      ...Array.from({ length: count }, (_, layer) => [
        `layer ${layer}`,
        ...models.map(({ layers }) => {
          const summary = layers[layer];
          return summary ? layerText(summary) : '';
        }),
      ]),
    ],
  });
}
