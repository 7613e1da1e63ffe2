import { expect, test } from 'vitest';
import { labelBox, placeLabels } from '../../src/reports/html/label-places.ts';

/** Pairs of labels that cover each other. */
function covered(dots: Parameters<typeof placeLabels>[0]): string[] {
  const boxes = placeLabels(dots).map((place, i) => ({
    text: dots[i]?.text ?? '',
    ...labelBox(place, dots[i]?.text ?? ''),
  }));
  return boxes.flatMap((a, i) =>
    boxes
      .slice(i + 1)
      .filter((b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
      .map((b) => `${a.text} ${b.text}`),
  );
}

test('a label is above its dot where there is room', () => {
  const [label] = placeLabels([{ at: [300, 100], text: 'a.onnx' }]);
  expect(label).toEqual({ x: 300, y: 88, anchor: 'middle' });
});

test('labels of dots that are close to each other do not meet', () => {
  expect(
    covered([
      { at: [160, 100], text: 'sst2-dynamic.onnx' },
      { at: [190, 100], text: 'sst2-w4.onnx' },
      { at: [190, 130], text: 'sst2.onnx' },
    ]),
  ).toEqual([]);
});

test('a label at the edge goes to the side that is in the plot', () => {
  const [left] = placeLabels([{ at: [80, 100], text: 'sst2-dynamic.tflite' }]);
  const [right] = placeLabels([{ at: [600, 100], text: 'sst2-dynamic.tflite' }]);
  expect([left?.anchor, right?.anchor]).toEqual(['start', 'end']);
});

test('a label that has room nowhere is above its dot all the same', () => {
  const text = 'a name that is longer than the whole plot is wide, as paths of files may well be at times';
  expect(placeLabels([{ at: [300, 100], text }])).toEqual([{ x: 300, y: 88, anchor: 'middle' }]);
});
