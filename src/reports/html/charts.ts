import { digits } from '../numbers.ts';
import {
  AREA,
  figure,
  INNER,
  legend,
  linearScale,
  logScale,
  round,
  type Scale,
  sentence,
  xAxis,
  xTick,
  Y_RANGE,
  yAxis,
} from './axes.ts';
import { html, join, type Markup, NOTHING } from './markup.ts';
import { numberCell, sortableTable } from './tables.ts';

/** A series of values; null where there is none. The colour is the series' place, unless it has a state's. */
interface Series {
  readonly name: string;
  readonly values: readonly (number | null)[];
  /** Lower ends, for `ranges`; default 0. */
  readonly from?: readonly (number | null)[];
  readonly state?: string;
}

interface Chart {
  readonly title: string;
  /** Words on what is seen in it, or how it was measured. */
  readonly note?: string;
  /** Name of a place on the x axis, as `layer`. */
  readonly xTitle: string;
  readonly labels: readonly string[];
  /** Names of the places in the table of numbers, where labels are too short to tell. */
  readonly names?: readonly string[];
  /** Title of the y axis with its unit, as `SQNR (dB)`. */
  readonly yTitle: string;
  /** `bars` are stacked; `ranges` go from `from` to the value; `lines` are dots that are joined. */
  readonly kind: 'bars' | 'ranges' | 'lines';
  readonly scale?: 'linear' | 'log';
  readonly series: readonly Series[];
}

/** Number of colours: the style sheet has `c0` to `c5`. */
const COLOURS = 6;

/** Room that a label has, else every second, third, … is left out. */
const LABEL_WIDTH = 26;
/** Most letters of a label that is not turned. */
const FLAT_LETTERS = 4;
const MOST_LETTERS = 12;

/** Makes a plot over places on the x axis, with a legend for several series, and its numbers as a table. */
export function chart(options: Chart): Markup {
  const { title, note, labels, series } = options;
  const numbers = series.flatMap(({ values, from }) => [...values, ...(from ?? [])]).filter((value) => value !== null);
  if (numbers.length === 0) return NOTHING;
  if (options.kind === 'lines' && series.length === 1 && numbers.length === 1) return oneNumber(options);
  const y = yScale(options);
  const step = INNER.width / labels.length;
  const x = (i: number) => AREA.left + (i + 0.5) * step;
  const marks =
    options.kind === 'bars'
      ? bars(options, y, x, step)
      : options.kind === 'ranges'
        ? ranges(options, y, x, step)
        : lines(options, y, x);
  return figure({
    title,
    note,
    legend:
      series.length < 2 ? undefined : legend(series.map((one, i) => ({ name: one.name, style: classOf(one, i) }))),
    marks: html`${yAxis(options.yTitle, y)}${xAxis(options.xTitle, labelTicks(labels, x, step))}${marks}`,
    table: numbersTable(options),
  });
}

function oneNumber({ title, xTitle, yTitle, labels, names, series: [only] }: Chart): Markup {
  const i = only?.values.findIndex((value) => value !== null) ?? 0;
  const place = names?.[i] ?? `${xTitle} ${labels[i]}`;
  return sentence(title, [place, `${yTitle} ${digits(only?.values[i] as number)}`]);
}

/** Scale of the y axis: bars start at zero, other marks at what shows them best. */
function yScale({ kind, scale = 'linear', series, labels }: Chart): Scale {
  const sums = labels.map((_, i) => series.reduce((sum, { values }) => sum + (values[i] ?? 0), 0));
  const values = series.flatMap((one) => [...one.values, ...(one.from ?? [])]).filter((value) => value !== null);
  const all = kind === 'bars' ? [0, ...sums] : kind === 'ranges' && scale === 'linear' ? [0, ...values] : values;
  const [least, most] = [Math.min(...all), Math.max(...all)];
  if (scale === 'log') return logScale([least, most], Y_RANGE);
  if (kind !== 'lines') return linearScale([least, most === least ? most + 1 : most], Y_RANGE);
  const pad = Math.max((most - least) * 0.08, Math.abs(most) * 0.01, 1e-9);
  return linearScale([least - pad, most + pad], Y_RANGE);
}

function labelTicks(labels: readonly string[], x: (i: number) => number, step: number): Markup[] {
  const every = Math.ceil(LABEL_WIDTH / step);
  const isTurned = labels.some((label) => label.length > FLAT_LETTERS && label.length * 7 > step * every);
  return labels.map((label, i) => {
    if (i % every !== 0) return NOTHING;
    const text = label.length > MOST_LETTERS ? `${label.slice(0, MOST_LETTERS - 1)}…` : label;
    if (!isTurned) return xTick(x(i), text);
    return html`<text class="tick" transform="translate(${round(x(i)) + 4} ${AREA.top + INNER.height + 14}) rotate(-32)" text-anchor="end">${text}</text>`;
  });
}

function classOf({ state }: Series, place: number): string {
  return state === undefined ? `c${place % COLOURS}` : `s-${state}`;
}

function tip({ labels, names, xTitle, yTitle }: Chart, i: number, name: string, text: string): Markup {
  return html`<title>${`${names?.[i] ?? `${xTitle} ${labels[i]}`}, ${name}: ${text} · ${yTitle}`}</title>`;
}

function bars(options: Chart, y: Scale, x: (i: number) => number, step: number): Markup {
  const width = Math.min(34, 0.72 * step);
  return join(
    options.labels.map((_, i) => {
      let below = 0;
      return join(
        options.series.map((series, place) => {
          const value = series.values[i];
          if (!value) return NOTHING;
          const [bottom, top] = [y(below), y(below + value)];
          below += value;
          return html`<rect class="mark ${classOf(series, place)}" x="${round(x(i) - width / 2)}" y="${round(top)}" width="${round(width)}" height="${round(Math.max(0.5, bottom - top))}">${tip(options, i, series.name, digits(value))}</rect>`;
        }),
      );
    }),
  );
}

function ranges(options: Chart, y: Scale, x: (i: number) => number, step: number): Markup {
  const count = options.series.length;
  const width = Math.min(14, (0.7 * step) / count);
  return join(
    options.series.flatMap((series, place) =>
      series.values.map((value, i) => {
        const from = series.from ? (series.from[i] ?? null) : 0;
        if (value === null || from === null) return NOTHING;
        const left = x(i) + (place - count / 2) * width + 0.1 * width;
        const [top, bottom] = [y(Math.max(value, from)), y(Math.min(value, from))];
        return html`<rect class="mark ${classOf(series, place)}" x="${round(left)}" y="${round(top)}" width="${round(0.8 * width)}" height="${round(Math.max(1, bottom - top))}" rx="1.5">${tip(options, i, series.name, series.from ? `${digits(from)} to ${digits(value)}` : digits(value))}</rect>`;
      }),
    ),
  );
}

function lines(options: Chart, y: Scale, x: (i: number) => number): Markup {
  return join(
    options.series.map((series, place) => {
      const points = series.values.flatMap((value, i) => (value === null ? [] : [{ i, value }]));
      const path = points.map(({ i, value }) => `${round(x(i))} ${round(y(value))}`).join('L');
      const dots = points.map(
        ({ i, value }) =>
          html`<circle class="mark ${classOf(series, place)}" cx="${round(x(i))}" cy="${round(y(value))}" r="4">${tip(options, i, series.name, digits(value))}</circle>`,
      );
      return html`<path class="line ${classOf(series, place)}" d="M${path}"/>${dots}`;
    }),
  );
}

function numbersTable({ title, labels, names, xTitle, yTitle, series }: Chart): Markup {
  const isAlone = series.length === 1 && series[0]?.from === undefined;
  const headings = [
    xTitle,
    ...(names ? ['name'] : []),
    ...series.flatMap(({ name, from }) =>
      from ? [`${name}, least`, `${name}, most`] : [isAlone ? yTitle : `${name}: ${yTitle}`],
    ),
  ];
  const rows = labels.map((label, i) => [
    label,
    ...(names ? [names[i] ?? ''] : []),
    ...series.flatMap(({ values, from }) => [
      ...(from ? [numberCell(from[i], digits)] : []),
      numberCell(values[i], digits),
    ]),
  ]);
  return sortableTable({ caption: title, headings, rows });
}
