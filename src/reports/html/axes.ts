import { scaleLinear, scaleLog } from 'd3-scale';
import { digits } from '../numbers.ts';
import { html, type Markup } from './markup.ts';

export const WIDTH = 620;
const HEIGHT = 250;
export const AREA = { left: 64, right: 12, top: 12, bottom: 52 };
export const INNER = { width: WIDTH - AREA.left - AREA.right, height: HEIGHT - AREA.top - AREA.bottom };

/** Map from a value to a place in the drawing. */
export interface Scale {
  (value: number): number;
  readonly ticks: readonly number[];
}

const TICKS = 5;

export function linearScale(domain: readonly [number, number], range: readonly [number, number]): Scale {
  const scale = scaleLinear().domain(domain).range(range).nice(TICKS);
  return Object.assign((value: number) => scale(value), { ticks: scale.ticks(TICKS) });
}

/** Most labels that fit. */
const MOST_TICKS = 8;

export function logScale(domain: readonly [number, number], range: readonly [number, number]): Scale {
  const scale = scaleLog().domain(domain).range(range).nice();
  const ticks = scale.ticks(TICKS);
  const powers = ticks.filter((tick) => Number.isInteger(Math.log10(tick)));
  return Object.assign((value: number) => scale(value), { ticks: ticks.length > MOST_TICKS ? powers : ticks });
}

export const Y_RANGE = [AREA.top + INNER.height, AREA.top] as const;
export const X_RANGE = [AREA.left, AREA.left + INNER.width] as const;

export function yAxis(title: string, y: Scale): Markup {
  const ticks = y.ticks.map((tick) => {
    const at = round(y(tick));
    return html`<line class="grid" x1="${AREA.left}" x2="${WIDTH - AREA.right}" y1="${at}" y2="${at}"/><text class="tick" x="${AREA.left - 6}" y="${at + 4}" text-anchor="end">${digits(tick)}</text>`;
  });
  const middle = AREA.top + INNER.height / 2;
  return html`${ticks}<text class="axis" transform="translate(15 ${middle}) rotate(-90)" text-anchor="middle">${title}</text>`;
}

/** Draws the line below, its ticks and the title. */
export function xAxis(title: string, ticks: readonly Markup[]): Markup {
  const base = AREA.top + INNER.height;
  return html`<line class="base" x1="${AREA.left}" x2="${WIDTH - AREA.right}" y1="${base}" y2="${base}"/>${ticks}<text class="axis" x="${AREA.left + INNER.width / 2}" y="${HEIGHT - 6}" text-anchor="middle">${title}</text>`;
}

export function xTick(x: number, text: string): Markup {
  return html`<text class="tick" x="${round(x)}" y="${AREA.top + INNER.height + 20}" text-anchor="middle">${text}</text>`;
}

function enlargeButton(title: string): Markup {
  return html`<button type="button" class="enlarge" data-enlarge aria-label="${`Full screen: ${title}`}" title="Full screen">⤢</button>`;
}

export function figure(parts: {
  readonly title: string;
  readonly note?: string | undefined;
  readonly legend?: Markup | undefined;
  readonly marks: Markup;
  readonly table: Markup;
  readonly height?: number;
}): Markup {
  const { title, note, legend, marks, table, height = HEIGHT } = parts;
  return html`<figure class="chart"><figcaption><h3>${title}</h3>${enlargeButton(title)}${note === undefined ? null : html`<p>${note}</p>`}</figcaption>
${legend ?? null}
<div class="scroll"><svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${`${title}: the numbers are in the table below`}">
${marks}</svg></div>
<details><summary>Numbers</summary>${table}</details></figure>`;
}

/** Explains the colours of a plot. */
export function legend(items: readonly { readonly name: string; readonly style: string }[]): Markup {
  return html`<ul class="legend">${items.map(({ name, style }) => html`<li><span class="swatch ${style}"></span>${name}</li>`)}</ul>`;
}

/** Says in a sentence what a plot of one dot would show. */
export function sentence(title: string, numbers: readonly string[]): Markup {
  return html`<p><strong>${title}</strong>: ${numbers.join(', ')}.</p>`;
}

export function round(value: number): number {
  return Math.round(10 * value) / 10;
}
