import { html, type Markup } from './markup.ts';

/** Content of a cell, with a number to sort by where the text is not it. */
export type Cell = string | Markup | { readonly text: string; readonly value: number | null };

interface SortableTable {
  /** Caption for those who hear the page. */
  readonly caption: string;
  readonly headings: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** Number of all rows, where not all are given. */
  readonly total?: number;
}

/** Least rows of a table with a field to look for rows. */
const FEWEST_TO_FILTER = 12;

/** Least rows of a table that sorts. */
const FEWEST_TO_SORT = 3;

/**
 * Most letters of a text that may get narrow on a phone; columns of longer ones keep some width, and the table scrolls.
 */
const LONG_LETTERS = 30;

/** Most rows of a table, as many as a browser shows without a delay. */
export const MOST_ROWS = 1000;

/** Makes a table that sorts by any column. Numbers are to the right; a column with nothing in it is left out. */
export function sortableTable({ caption, headings: all, rows, total = rows.length }: SortableTable): Markup {
  const used = all.map((_, i) => i).filter((i) => rows.some((row) => !isEmpty(row[i])));
  const headings = used.map((i) => all[i] as string);
  const shown = rows.slice(0, MOST_ROWS).map((row) => used.map((i) => row[i] as Cell));
  const numeric = headings.map((_, i) => shown.length > 0 && shown.every((row) => isNumeric(row[i])));
  const wide = headings.map((_, i) => shown.some((row) => isLong(row[i])));
  const classOf = (i: number) => (numeric[i] ? html` class="number"` : wide[i] ? html` class="wide"` : null);
  const sorts = rows.length >= FEWEST_TO_SORT;
  const rest = total - shown.length;
  return html`<div class="table">${
    rows.length < FEWEST_TO_FILTER
      ? null
      : html`<input type="search" data-filter placeholder="Filter" aria-label="${`Filter ${caption}`}">`
  }
<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table${sorts ? html` data-sorts` : null}><caption>${caption}</caption>
<thead><tr>${headings.map((heading, i) => html`<th scope="col"${classOf(i)}>${sorts && heading !== '' ? html`<button type="button">${heading}</button>` : heading}</th>`)}</tr></thead>
<tbody>${shown.map((row) => html`<tr>${row.map((cell, i) => html`<td${classOf(i)}${sortValue(cell)}>${contentOf(cell)}</td>`)}</tr>`)}</tbody></table></div>
${rest > 0 ? html`<p class="note">and ${rest} more</p>` : null}</div>`;
}

/** Cell of a number with its unit, sorted by the number; nothing where it was not measured. */
export function numberCell(value: number | null | undefined, text: (value: number) => string): Cell {
  return value === null || value === undefined ? { text: '–', value: null } : { text: text(value), value };
}

function isNumeric(cell: Cell | undefined): boolean {
  return typeof cell === 'object' && 'value' in cell;
}

function contentOf(cell: Cell): string | Markup {
  return typeof cell === 'object' && 'value' in cell ? cell.text : cell;
}

function isEmpty(cell: Cell | undefined): boolean {
  if (typeof cell !== 'object') return !cell;
  return 'markup' in cell ? cell.markup === '' : cell.value === null;
}

function isLong(cell: Cell | undefined): boolean {
  if (typeof cell === 'string') return cell.length > LONG_LETTERS;
  return cell !== undefined && 'markup' in cell && cell.markup.replace(/<[^>]*>/g, '').length > LONG_LETTERS;
}

function sortValue(cell: Cell): Markup | null {
  if (typeof cell !== 'object' || !('value' in cell) || cell.value === null || Number.isNaN(cell.value)) return null;
  return html` data-value="${cell.value}"`;
}
