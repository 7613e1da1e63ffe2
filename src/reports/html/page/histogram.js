// Draws how values are distributed: an element that the picture of the graph puts beside a chosen node.

/**
 * @typedef {[least: number, most: number, rms: number, counts: number[], limits: [number, number] | null, axis: [number, number] | null]} Histogram
 */

const [WIDTH, TOP, BASE] = [240, 6, 76];
const SVG_NAMES = 'http://www.w3.org/2000/svg';

class ValueHistogram extends HTMLElement {
  connectedCallback() {
    const [least, most, rms, counts, limits, axis] = /** @type {Histogram} */ (
      JSON.parse(this.dataset['values'] ?? '')
    );
    const total = counts.reduce((sum, count) => sum + count, 0);
    const largest = Math.max(...counts);
    // A value that occurs once is what a range is widened for: among a million it shows on a logarithmic scale alone.
    const heightOf = (/** @type {number} */ count) =>
      count === 0 ? 0 : Math.max(1.5, ((BASE - TOP) * Math.log1p(count)) / Math.log1p(largest));
    const [from, to] = axis ?? (limits ? [Math.min(least, limits[0]), Math.max(most, limits[1])] : [least, most]);
    const unit = to > from ? (WIDTH - 2) / (to - from) : 0;
    const x = (/** @type {number} */ value) => 1 + (value - from) * unit;
    const width = counts.length > 1 ? (x(most) - x(least)) / counts.length : 6;
    const edge = (/** @type {number} */ i) => least + ((most - least) * i) / counts.length;
    const said = `${total} values from ${digits(least)} to ${digits(most)}, rms ${digits(rms)}`;
    const stored = limits ? `; integers hold ${digits(limits[0])} to ${digits(limits[1])}` : '';
    const svg = draw(null, 'svg', {
      viewBox: `0 0 ${WIDTH} 96`,
      role: 'img',
      'aria-label': `Histogram: ${said}${stored}`,
    });
    if (limits) {
      draw(svg, 'rect', { x: x(limits[0]), y: 0, width: x(limits[1]) - x(limits[0]), height: BASE, class: 'held' });
      for (const limit of limits) draw(svg, 'path', { d: `M${x(limit)} 0V${BASE}`, class: 'limit' });
    }
    for (const [i, count] of counts.entries()) {
      const height = heightOf(count);
      const bar = { x: x(edge(i)), y: BASE - height, width: Math.max(0.6, width * 0.92), height, class: 'bar' };
      if (count > 0) draw(draw(svg, 'rect', bar), 'title', {}).textContent = rowText(edge(i), edge(i + 1), count);
    }
    draw(svg, 'path', { d: `M0 ${BASE}H${WIDTH}`, class: 'base' });
    draw(svg, 'text', { x: 1, y: 91, class: 'tick' }).textContent = digits(from);
    draw(svg, 'text', { x: WIDTH - 1, y: 91, class: 'tick last' }).textContent = digits(to);
    const note = document.createElement('p');
    note.className = 'hint';
    note.textContent = `${said}${stored}. Bars are logarithmic.`;
    this.replaceChildren(svg, note, numbers(counts, edge));
  }
}

customElements.define('value-histogram', ValueHistogram);

/** @type {(counts: number[], edge: (i: number) => number) => HTMLElement} */
function numbers(counts, edge) {
  const details = document.createElement('details');
  const summary = document.createElement('summary');
  summary.textContent = 'Numbers';
  const list = document.createElement('ul');
  for (const [i, count] of counts.entries()) {
    if (count === 0) continue;
    const item = document.createElement('li');
    item.textContent = rowText(edge(i), edge(i + 1), count);
    list.append(item);
  }
  details.append(summary, list);
  return details;
}

/** @type {(from: number, to: number, count: number) => string} */
function rowText(from, to, count) {
  return `${digits(from)} to ${digits(to)}: ${count}`;
}

/** @param {number} value */
function digits(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

/** @type {(parent: SVGElement | null, name: string, attributes: { [name: string]: string | number }) => SVGElement} */
function draw(parent, name, attributes) {
  const element = /** @type {SVGElement} */ (document.createElementNS(SVG_NAMES, name));
  for (const [attribute, value] of Object.entries(attributes)) {
    element.setAttribute(attribute, String(typeof value === 'number' ? Math.round(value * 100) / 100 : value));
  }
  parent?.append(element);
  return element;
}
