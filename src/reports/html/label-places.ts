import { AREA, INNER } from './axes.ts';

/** Place of a text beside a dot. */
export interface PlacedLabel {
  readonly x: number;
  readonly y: number;
  readonly anchor: 'start' | 'middle' | 'end';
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

interface Dot {
  readonly at: readonly [x: number, y: number];
  readonly text: string;
}

/** Width of a letter and height of a line in the letters of a phone, the largest that a plot has. */
const LETTER = { width: 9, height: 17 };
/** Half of the width of a dot with its ring. */
const RADIUS = 9;

/** Sides of a dot for its label, the usual one first. */
const SIDES: readonly ((x: number, y: number) => PlacedLabel)[] = [
  (x, y) => ({ x, y: y - 12, anchor: 'middle' }),
  (x, y) => ({ x, y: y + 24, anchor: 'middle' }),
  (x, y) => ({ x: x + 12, y: y + 5, anchor: 'start' }),
  (x, y) => ({ x: x - 12, y: y + 5, anchor: 'end' }),
  (x, y) => ({ x: x - 8, y: y - 12, anchor: 'start' }),
  (x, y) => ({ x: x + 8, y: y - 12, anchor: 'end' }),
  (x, y) => ({ x: x - 8, y: y + 24, anchor: 'start' }),
  (x, y) => ({ x: x + 8, y: y + 24, anchor: 'end' }),
];

/**
 * Places the label of each dot where it covers no other dot or label and stays in the plot; above the dot where there is
 * no such side.
 */
export function placeLabels(dots: readonly Dot[]): PlacedLabel[] {
  const taken: Box[] = dots.map(({ at: [x, y] }) => ({
    left: x - RADIUS,
    right: x + RADIUS,
    top: y - RADIUS,
    bottom: y + RADIUS,
  }));
  return dots.map(({ at: [x, y], text }, own) => {
    const others = taken.filter((_, i) => i !== own);
    const sides = SIDES.map((side) => side(x, y));
    const free = sides.find((place) => {
      const box = labelBox(place, text);
      return isInside(box) && !others.some((other) => overlap(box, other));
    });
    const place = free ?? (sides[0] as PlacedLabel);
    taken.push(labelBox(place, text));
    return place;
  });
}

/** Room that a label takes in the largest letters. */
export function labelBox({ x, y, anchor }: PlacedLabel, text: string): Box {
  const width = text.length * LETTER.width;
  const left = anchor === 'start' ? x : anchor === 'end' ? x - width : x - width / 2;
  return { left, right: left + width, top: y - 0.8 * LETTER.height, bottom: y + 0.2 * LETTER.height };
}

function isInside({ left, right, top, bottom }: Box): boolean {
  return (
    left >= AREA.left && right <= AREA.left + INNER.width + AREA.right && top >= 0 && bottom <= AREA.top + INNER.height
  );
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
