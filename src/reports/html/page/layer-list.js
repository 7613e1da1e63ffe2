// Makes the list of layers beside the picture of the graph.

import { add, cutStart, make, textElement } from './elements.js';

/** @import { Group } from './picture.js' */

/** A layer's line in the list beside the picture. @type {(group: Group, act: () => void) => HTMLButtonElement} */
export function mapButton(group, act) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = `${group.marked > 0 ? 'marked' : ''}${group.mark ? ` l-${group.mark.tone}` : ''}`.trim();
  button.append(textElement('span', cutStart(group.short, 22)));
  const count = textElement('span', group.marked > 0 ? String(group.marked) : (group.mark?.text ?? ''));
  count.className = 'count';
  const strip = make('svg', {
    viewBox: `0 0 ${group.states.length} 1`,
    preserveAspectRatio: 'none',
    'aria-hidden': 'true',
  });
  for (const [i, state] of group.states.entries()) {
    add(strip, 'rect', { x: i, width: state === 'same' ? 1 : 1.02, height: 1, class: `cell s-${state}` });
  }
  button.append(count, strip);
  button.title = `${group.title}: ${summaryOf(group)}`;
  button.addEventListener('click', act);
  return button;
}

/** @param {Group} group */
export function summaryOf({ summary, mark }) {
  return mark ? `${summary} · ${mark.text}` : summary;
}

/** @param {Node} child */
export function listItem(child) {
  const item = document.createElement('li');
  item.append(child);
  return item;
}
