// Draws the graph: a column of boxes, one a layer, that open and show their nodes.

import { add, addText, asButton, cutEnd, cutStart, make, textElement } from './elements.js';
import { listItem, mapButton, summaryOf } from './layer-list.js';

/**
 * @typedef {{ title: string, short: string, summary: string,
 *   mark: { text: string, tone: string } | null, marked: number, states: string[], layout: number | null,
 *   nodes: [op: string, label: string, name: string, type: string, details: [string, string][], plots: [title: string, histogram: number, limits: [number, number] | null, axis: [number, number] | null][]][],
 *   ports: [label: string, name: string][] }} Group
 * @typedef {{ width: number, height: number, boxes: [number, number, number][], edges: [string, string][] }} Layout
 * @typedef {{ symbols: { [state: string]: string }, groups: Group[], layouts: Layout[], histograms: unknown[][],
 *   links: [from: number, to: number, state: string][] }} Picture
 */

const HEAD_HEIGHT = 62;
const HEAD_WIDTH = 560;
const GAP = 18;
/** Links past other boxes run beside each other, in as many lanes. */
const LANES = 5;
const NODE_HEIGHT = 40;
const LEAST_ZOOM = 0.7;

for (const element of document.querySelectorAll('[data-picture]')) showPicture(/** @type {HTMLElement} */ (element));

/** @param {HTMLElement} element */
function showPicture(element) {
  /** @type {Picture} */
  const picture = JSON.parse(element.querySelector('script')?.textContent ?? '');
  const canvas = /** @type {HTMLElement} */ (element.querySelector('.canvas'));
  const chosen = /** @type {HTMLElement} */ (element.querySelector('.chosen'));
  /** @type {Set<number>} */
  const open = new Set();
  const firstMarked = picture.groups.findIndex(({ marked, layout }) => marked > 0 && layout !== null);
  if (firstMarked >= 0) open.add(firstMarked);
  const mapButtons = picture.groups.map((group, g) => mapButton(group, () => goTo(g)));
  element.querySelector('.map')?.append(...mapButtons.map(listItem));
  let zoom = 1;
  let width = 0;
  let height = 0;
  /** @type {SVGElement | undefined} */
  let svg;

  function draw() {
    width = HEAD_WIDTH;
    for (const g of open) width = Math.max(width, layoutOf(g).width + 2);
    svg = make('svg', { class: 'graph', role: 'group' });
    const defs = add(svg, 'defs', {});
    for (const state of ['same', 'added', 'removed']) {
      const marker = add(defs, 'marker', {
        id: `arrow-${state}`,
        viewBox: '0 0 8 8',
        refX: 7,
        refY: 4,
        markerWidth: 7,
        markerHeight: 7,
        orient: 'auto-start-reverse',
      });
      add(marker, 'path', { d: 'M0 0.5L8 4L0 7.5z', class: `arrow e-${state}` });
    }
    const far = picture.links.filter(([from, to]) => to !== from + 1);
    const margin = far.length > 0 ? 14 + 9 * Math.min(far.length, LANES) : 0;
    const inner = width;
    width += 2 * margin;
    /** @type {{ top: number, bottom: number, right: number }[]} */
    const boxes = [];
    let y = 1;
    for (const [g, group] of picture.groups.entries()) {
      const boxHeight = drawGroup(svg, group, g, y);
      const boxWidth = open.has(g) ? Math.max(HEAD_WIDTH - 2, layoutOf(g).width) : HEAD_WIDTH - 2;
      boxes.push({ top: y, bottom: y + boxHeight, right: (width + boxWidth) / 2 });
      y += boxHeight + GAP;
    }
    let lane = 0;
    for (const [from, to, state] of picture.links) {
      const [a, b] = [boxes[from], boxes[to]];
      if (!a || !b) continue;
      const x = (width + inner) / 2 + 8 + 9 * (lane % LANES);
      const d =
        to === from + 1
          ? `M${width / 2} ${a.bottom}V${b.top - 1}`
          : `M${a.right} ${a.bottom - 12}C${x + 8} ${a.bottom - 12} ${x} ${a.bottom - 4} ${x} ${a.bottom + 14}V${b.top + 4}C${x} ${b.top + 20} ${x + 4} ${b.top + 22} ${b.right + 2} ${b.top + 22}`;
      if (to !== from + 1) lane++;
      add(svg, 'path', { d, class: `edge link e-${state}`, 'marker-end': `url(#arrow-${state})` });
    }
    height = y - GAP + 1;
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    canvas.replaceChildren(svg);
    for (const [g, button] of mapButtons.entries()) button.setAttribute('aria-expanded', String(open.has(g)));
    resize();
  }

  /** @param {number} g */
  function layoutOf(g) {
    return /** @type {Layout} */ (picture.layouts[picture.groups[g]?.layout ?? -1]);
  }

  /** @type {(parent: SVGElement, group: Group, g: number, y: number) => number} */
  function drawGroup(parent, group, g, y) {
    const isOpen = open.has(g);
    const layout = isOpen ? layoutOf(g) : undefined;
    const boxWidth = Math.max(HEAD_WIDTH - 2, layout?.width ?? 0);
    const x = (width - boxWidth) / 2;
    const boxHeight = HEAD_HEIGHT + (layout?.height ?? 0);
    const box = add(parent, 'g', {
      transform: `translate(${x} ${y})`,
      class: `group${group.marked > 0 ? ' marked' : ''}${group.mark ? ` l-${group.mark.tone}` : ''}`,
    });
    add(box, 'rect', { width: boxWidth, height: boxHeight, rx: 9, class: 'frame' });
    const head = add(box, 'g', { class: 'head', 'data-group': g });
    add(head, 'rect', { width: boxWidth, height: HEAD_HEIGHT, rx: 9, class: 'grip' });
    if (group.layout !== null) {
      add(head, 'path', { d: isOpen ? 'M14 15l5 7l5-7z' : 'M15 14l7 5l-7 5z', class: 'twist' });
      asButton(head, `${group.title}, ${summaryOf(group)}`, () => toggle(g));
      head.setAttribute('aria-expanded', String(isOpen));
    }
    addText(head, 34, 24, cutStart(group.title, 34), 'title');
    addText(head, boxWidth - 14, 24, summaryOf(group), 'summary');
    drawStrip(head, group, boxWidth);
    if (layout) drawNodes(box, group, layout, (boxWidth - layout.width) / 2);
    return boxHeight;
  }

  /** One cell for each node of a layer: where its marks are shows before it is open. @type {(parent: SVGElement, group: Group, boxWidth: number) => void} */
  function drawStrip(parent, group, boxWidth) {
    const room = boxWidth - 28;
    const step = Math.min(14, room / group.states.length);
    for (const [i, state] of group.states.entries()) {
      add(parent, 'rect', {
        x: 14 + i * step,
        y: 38,
        width: Math.max(0.5, step - (step > 3 ? 1.5 : 0)),
        height: 12,
        rx: step > 5 ? 2 : 0,
        class: `cell s-${state}`,
      });
    }
  }

  /** @type {(box: SVGElement, group: Group, layout: Layout, x: number) => void} */
  function drawNodes(box, group, layout, x) {
    const inside = add(box, 'g', { transform: `translate(${x} ${HEAD_HEIGHT - 6})` });
    for (const [d, state] of layout.edges) {
      add(inside, 'path', { d, class: `edge e-${state}`, 'marker-end': `url(#arrow-${state})` });
    }
    for (const [i, facts] of group.nodes.entries()) {
      const [op, label, name] = facts;
      const [left, top, boxWidth] = layout.boxes[i] ?? [0, 0, 0];
      const state = group.states[i] ?? '';
      const node = add(inside, 'g', { transform: `translate(${left} ${top})`, class: 'node', 'data-name': name });
      add(node, 'rect', { width: boxWidth, height: NODE_HEIGHT, rx: 6, class: `box s-${state}` });
      const letters = Math.floor((boxWidth - 14) / 6.7);
      addText(node, 9, 16, cutStart(op, letters - 2), 'op');
      addText(node, 9, 32, cutStart(label, letters), 'label');
      addText(node, boxWidth - 8, 16, picture.symbols[state] ?? '', 'symbol');
      asButton(node, `${op} ${name}`, () => choose(node, facts));
    }
    for (const [i, [label, name]] of group.ports.entries()) {
      const [left, top, boxWidth] = layout.boxes[group.nodes.length + i] ?? [0, 0, 0];
      const port = add(inside, 'g', { transform: `translate(${left} ${top})`, class: 'port' });
      add(port, 'rect', { y: 7, width: boxWidth, height: NODE_HEIGHT - 14, rx: 13, class: 'pill' });
      addText(port, boxWidth / 2, 24, cutEnd(label, 28), 'label middle');
      add(port, 'title', {}).textContent = name;
    }
  }

  /** @param {number} g */
  function toggle(g) {
    if (!open.delete(g)) open.add(g);
    draw();
    showWhole();
    /** @type {SVGElement | null} */ (canvas.querySelector(`[data-group="${g}"]`))?.focus();
  }

  /** @param {number} g */
  function goTo(g) {
    const wasOpen = open.has(g);
    if (picture.groups[g]?.layout !== null) open.add(g);
    if (!wasOpen) {
      draw();
      showWhole();
    }
    const head = canvas.querySelector(`[data-group="${g}"]`);
    if (head) canvas.scrollTop += head.getBoundingClientRect().top - canvas.getBoundingClientRect().top - 8;
  }

  /** @type {(node: SVGElement, facts: Group['nodes'][number]) => void} */
  function choose(node, [op, , name, type, details, plots]) {
    for (const other of canvas.querySelectorAll('.node.is-chosen')) other.classList.remove('is-chosen');
    node.classList.add('is-chosen');
    const list = document.createElement('dl');
    for (const [term, text] of [['name', name], ['op', op], ['result', type], ...details]) {
      list.append(textElement('dt', term ?? ''), textElement('dd', text ?? ''));
    }
    const figures = plots.map(([title, place, limits, axis]) => {
      const figure = document.createElement('figure');
      const plot = document.createElement('value-histogram');
      plot.dataset['values'] = JSON.stringify([...(picture.histograms[place] ?? []), limits, axis]);
      figure.append(textElement('figcaption', title), plot);
      return figure;
    });
    chosen.replaceChildren(list, ...figures);
    chosen.scrollTop = 0;
  }

  function resize() {
    svg?.setAttribute('width', String(Math.round(width * zoom)));
    svg?.setAttribute('height', String(Math.round(height * zoom)));
  }

  /** Around the middle of what is seen. @param {number} factor */
  function zoomBy(factor) {
    const next = Math.min(3, Math.max(0.15, zoom * factor));
    const [x, y] = [canvas.scrollLeft + canvas.clientWidth / 2, canvas.scrollTop + canvas.clientHeight / 2];
    const change = next / zoom;
    zoom = next;
    resize();
    canvas.scrollTo(x * change - canvas.clientWidth / 2, y * change - canvas.clientHeight / 2);
  }

  function fitWidth() {
    zoom = Math.min(1, (canvas.clientWidth - 24) / width);
    resize();
    canvas.scrollLeft = 0;
  }

  /** What is wider than its place is zoomed out of, as far as letters can be read. */
  function showWhole() {
    const fitting = (canvas.clientWidth - 24) / width;
    if (fitting >= zoom) return;
    zoom = Math.min(zoom, Math.max(LEAST_ZOOM, fitting));
    resize();
    canvas.scrollLeft = (canvas.scrollWidth - canvas.clientWidth) / 2;
  }

  const actions = {
    in: () => zoomBy(1.25),
    out: () => zoomBy(0.8),
    fit: fitWidth,
    close() {
      open.clear();
      draw();
      fitWidth();
    },
    marked() {
      for (const [g, { marked, layout }] of picture.groups.entries()) if (marked > 0 && layout !== null) open.add(g);
      draw();
      fitWidth();
    },
  };
  for (const button of element.querySelectorAll('button[data-do]')) {
    const action = /** @type {keyof typeof actions} */ (button.getAttribute('data-do'));
    button.addEventListener('click', () => actions[action]());
  }
  canvas.addEventListener('keydown', (event) => {
    if (event.target !== canvas) return;
    if (event.key === '+' || event.key === '=') zoomBy(1.25);
    else if (event.key === '-') zoomBy(0.8);
    else if (event.key === '0') fitWidth();
  });
  canvas.addEventListener(
    'wheel',
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY / 300));
    },
    { passive: false },
  );
  drag(canvas);

  /** Opens the first layer with a node of such a name and goes there. @param {string} wanted */
  function find(wanted) {
    const text = wanted.toLowerCase();
    for (const [g, { nodes }] of picture.groups.entries()) {
      const at = nodes.findIndex(([, , name]) => name.toLowerCase().includes(text));
      if (at < 0) continue;
      open.add(g);
      draw();
      const name = nodes[at]?.[2];
      const node = [...canvas.querySelectorAll('.node')].find((each) => each.getAttribute('data-name') === name);
      node?.scrollIntoView({ block: 'center', inline: 'center' });
      node?.dispatchEvent(new MouseEvent('click'));
      return;
    }
    chosen.replaceChildren(textElement('p', 'No node that is drawn has such a name.'));
  }
  const field = /** @type {HTMLInputElement | null} */ (element.querySelector('[data-find]'));
  field?.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && field.value.trim() !== '') find(field.value.trim());
  });

  draw();
  fitWidth();
  // Small letters on a phone say nothing: better to scroll.
  if (zoom < LEAST_ZOOM) {
    zoom = LEAST_ZOOM;
    resize();
    canvas.scrollLeft = (canvas.scrollWidth - canvas.clientWidth) / 2;
  }
  if (firstMarked >= 0) {
    const box = canvas.querySelector('.node .box:not(.s-same)');
    if (box) canvas.scrollTop = scrollOf(box, canvas);
    box?.parentElement?.dispatchEvent(new MouseEvent('click'));
  }
}

/** Where to scroll to, to have an element a third below the top. @type {(element: Element, canvas: Element) => number} */
function scrollOf(element, canvas) {
  const top = element.getBoundingClientRect().top - canvas.getBoundingClientRect().top;
  return Math.max(0, top - canvas.clientHeight / 3);
}

/** Dragging with the mouse moves the picture; fingers scroll by themselves. @param {HTMLElement} canvas */
function drag(canvas) {
  /** @type {{ x: number, y: number, left: number, top: number } | undefined} */
  let start;
  canvas.addEventListener('pointerdown', (event) => {
    if (event.pointerType !== 'mouse' || event.button !== 0) return;
    start = { x: event.clientX, y: event.clientY, left: canvas.scrollLeft, top: canvas.scrollTop };
  });
  window.addEventListener('pointermove', (event) => {
    if (!start) return;
    canvas.scrollTo(start.left - (event.clientX - start.x), start.top - (event.clientY - start.y));
  });
  window.addEventListener('pointerup', () => {
    start = undefined;
  });
}
