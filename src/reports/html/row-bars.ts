import { digits } from '../numbers.ts';
import { figure, legend, linearScale, round, WIDTH } from './axes.ts';
import { html, join, type Markup, NOTHING } from './markup.ts';

interface RowBar {
  readonly name: string;
  readonly value: number;
  /** Value in words, at the end of the row. */
  readonly text: string;
  /** Bounds between which its measurements lie. */
  readonly spread?: { readonly low: number; readonly high: number };
  /** Place of its colour among the `colours`. */
  readonly colour?: number;
}

interface RowBars {
  readonly title: string;
  readonly note?: string;
  /** Title of the x axis with its unit. */
  readonly xTitle: string;
  readonly rows: readonly RowBar[];
  /** Meanings of the colours, where there are several. */
  readonly colours?: readonly string[];
  /** Right end of the axis, where several plots share one. Default: the largest number of this one. */
  readonly most?: number;
  /** Table of the numbers. */
  readonly table: Markup;
}

const TOP = 6;
/** Room of a row: a line of text above a bar. */
const ROW = 38;
const BAR = { top: 21, height: 11 };
/** Ends of rows; the label of the last tick reaches beyond. */
const [LEFT, RIGHT] = [14, WIDTH - 34];
const BELOW = 46;

/** Most letters of a name that leave room for the value, also on a phone; the end of a path tells more than its start. */
const MOST_LETTERS = 36;

/** Makes a plot of bars along rows, each below its name, which may be longer than a label of an axis. */
export function rowBars({ title, note, xTitle, rows, colours = [], most, table }: RowBars): Markup {
  if (rows.length === 0) return NOTHING;
  const largest = most ?? Math.max(...rows.flatMap(({ value, spread }) => [value, spread?.high ?? 0]));
  const x = linearScale([0, largest || 1], [LEFT, RIGHT]);
  const base = TOP + rows.length * ROW + 2;
  const ticks = x.ticks.map((tick) => {
    const at = round(x(tick));
    return html`<line class="grid" x1="${at}" x2="${at}" y1="${TOP}" y2="${base}"/><text class="tick" x="${at}" y="${base + 17}" text-anchor="middle">${digits(tick)}</text>`;
  });
  const bars = rows.map((row, i) => barOf(row, TOP + i * ROW, x));
  return figure({
    title,
    note,
    legend: colours.length < 2 ? undefined : legend(colours.map((name, i) => ({ name, style: `c${i}` }))),
    height: base + BELOW,
    marks: html`${ticks}<line class="base" x1="${LEFT}" x2="${RIGHT}" y1="${base}" y2="${base}"/>${join(bars)}<text class="axis" x="${(LEFT + RIGHT) / 2}" y="${base + BELOW - 8}" text-anchor="middle">${xTitle}</text>`,
    table,
  });
}

function barOf({ name, value, text, spread, colour = 0 }: RowBar, top: number, x: (value: number) => number): Markup {
  const bar = html`<rect class="mark c${colour}" x="${LEFT}" y="${top + BAR.top}" width="${round(Math.max(0.5, x(value) - LEFT))}" height="${BAR.height}" rx="1.5"><title>${`${name}: ${text}`}</title></rect>`;
  return html`<text class="row" x="${LEFT}" y="${top + 16}">${shortened(name)}</text><text class="row end" x="${RIGHT}" y="${top + 16}">${text}</text>${bar}${spread ? spreadMark(spread, top + BAR.top + BAR.height / 2, x) : null}`;
}

/** A line between the bounds with a stop at each, in a casing that parts it from the bar below it. */
function spreadMark(
  { low, high }: { readonly low: number; readonly high: number },
  middle: number,
  x: (value: number) => number,
): Markup {
  const [from, to] = [round(x(low)), round(x(high))];
  const stop = (at: number) => `M${at} ${middle - 4}V${middle + 4}`;
  const path = `M${from} ${middle}H${to}${stop(from)}${stop(to)}`;
  return html`<path class="spread casing" d="${path}"/><path class="spread" d="${path}"/>`;
}

function shortened(name: string): string {
  return name.length > MOST_LETTERS ? `…${name.slice(1 - MOST_LETTERS)}` : name;
}
