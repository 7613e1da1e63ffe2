// Makes what the picture of the graph is drawn with: elements, and texts that fit them.

const SVG = 'http://www.w3.org/2000/svg';

/** @type {(element: SVGElement, label: string, act: () => void) => void} */
export function asButton(element, label, act) {
  element.setAttribute('role', 'button');
  element.setAttribute('tabindex', '0');
  element.setAttribute('aria-label', label);
  element.addEventListener('click', act);
  element.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    act();
  });
}

/** @type {(name: string, attributes: { [name: string]: string | number }) => SVGElement} */
export function make(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, String(value));
  return /** @type {SVGElement} */ (element);
}

/** @type {(parent: SVGElement, name: string, attributes: { [name: string]: string | number }) => SVGElement} */
export function add(parent, name, attributes) {
  const element = make(name, attributes);
  parent.append(element);
  return element;
}

/** @type {(parent: SVGElement, x: number, y: number, text: string, kind: string) => void} */
export function addText(parent, x, y, text, kind) {
  if (text !== '') add(parent, 'text', { x, y, class: kind }).textContent = text;
}

/** @type {(name: string, text: string) => HTMLElement} */
export function textElement(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

/** The end of a name says most. @type {(text: string, letters: number) => string} */
export function cutStart(text, letters) {
  return text.length > letters ? `…${text.slice(text.length - letters + 1)}` : text;
}

/** @type {(text: string, letters: number) => string} */
export function cutEnd(text, letters) {
  return text.length > letters ? `${text.slice(0, letters - 1)}…` : text;
}
