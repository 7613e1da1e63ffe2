import { digits } from '../numbers.ts';
import { figure, linearScale, round, sentence, X_RANGE, xAxis, xTick, Y_RANGE, yAxis } from './axes.ts';
import { type PlacedLabel, placeLabels } from './label-places.ts';
import { html, type Markup, NOTHING } from './markup.ts';
import { numberCell, sortableTable } from './tables.ts';

interface Axis<P> {
  /** Title with the unit. */
  readonly title: string;
  of(point: P): number;
}

interface Scatter<P> {
  readonly title: string;
  readonly note: string;
  readonly x: Axis<P>;
  readonly y: Axis<P>;
  readonly points: readonly P[];
  labelOf(point: P): string;
  isChosen(point: P): boolean;
  /** False for points that are no steps of one search. Default true. */
  readonly isJoined?: boolean;
  /** Further columns of the table of numbers. */
  readonly more: readonly (Axis<P> & { text(value: number): string })[];
}

/** Makes a chart of points between two numbers each, joined in the order of x. */
export function scatter<P>({
  title,
  note,
  x,
  y,
  points,
  labelOf,
  isChosen,
  isJoined = true,
  more,
}: Scatter<P>): Markup {
  const finite = points.filter((point) => Number.isFinite(x.of(point)) && Number.isFinite(y.of(point)));
  const [only, ...others] = finite;
  if (only === undefined) return NOTHING;
  if (others.length === 0) {
    const columns = more.map((column) => `${column.title} ${column.text(column.of(only))}`);
    return sentence(title, [...columns, ...[x, y].map((axis) => `${axis.title} ${digits(axis.of(only))}`)]);
  }
  const [xScale, yScale] = [
    linearScale(padded(finite.map(x.of)), X_RANGE),
    linearScale(padded(finite.map(y.of)), Y_RANGE),
  ];
  const at = (point: P) => [round(xScale(x.of(point))), round(yScale(y.of(point)))] as const;
  const line = finite
    .toSorted((a, b) => x.of(a) - x.of(b))
    .map((point) => at(point).join(' '))
    .join('L');
  const labels = placeLabels(finite.map((point) => ({ at: at(point), text: labelOf(point) })));
  const dots = finite.map((point, i) => {
    const [cx, cy] = at(point);
    const label = labels[i] as PlacedLabel;
    const ring = isChosen(point) ? html`<circle class="ring" cx="${cx}" cy="${cy}" r="8"/>` : null;
    return html`${ring}<circle class="mark c0" cx="${cx}" cy="${cy}" r="4.5"><title>${`${labelOf(point)}: ${digits(x.of(point))} ${x.title}, ${digits(y.of(point))} ${y.title}`}</title></circle><text class="tick" x="${round(label.x)}" y="${round(label.y)}" text-anchor="${label.anchor}">${labelOf(point)}</text>`;
  });
  return figure({
    title,
    note,
    marks: html`${yAxis(y.title, yScale)}${xAxis(
      x.title,
      xScale.ticks.map((tick) => xTick(xScale(tick), digits(tick))),
    )}${isJoined ? html`<path class="line c0" d="M${line}"/>` : null}${dots}`,
    table: sortableTable({
      caption: title,
      headings: ['', ...more.map((column) => column.title), x.title, y.title, ''],
      rows: points.map((point) => [
        isJoined ? '' : labelOf(point),
        ...more.map((column) => numberCell(column.of(point), column.text)),
        numberCell(x.of(point), digits),
        numberCell(y.of(point), digits),
        isChosen(point) ? 'chosen' : '',
      ]),
    }),
  });
}

/** Domain with room around the outermost points, also where there is one only. */
function padded(values: readonly number[]): [number, number] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const pad = (most - least) * 0.08 || Math.abs(most) * 0.1 || 1;
  return [least - pad, most + pad];
}
