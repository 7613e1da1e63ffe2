import { defineOp, invalid } from '../op.ts';
import { aroundAxis, axisOf, bindDim, type Dim, isBeforeLast, type Shape, shapeText } from '../shape.ts';
import { pickElements } from './strides.ts';

/** Elements start to end (exclusive) of one axis. A symbolic end, with start 0, cuts a table to the run's length. */
export const slice = defineOp({
  inputs: ['x'],
  attrs: { axis: 0 as number, start: 0 as number, end: 0 as Dim },
  tokens: 'along-axis',
  stream: 'moved',
  moves: { keepsChannels: (x, { axis }) => isBeforeLast(axis, x) },
  infer({ x }, { axis, start, end }) {
    const at = axisOf(axis, x.shape.length);
    const size = at === null ? undefined : x.shape[at];
    const fits =
      typeof end === 'number'
        ? Number.isInteger(start) &&
          Number.isInteger(end) &&
          start >= 0 &&
          end > start &&
          (typeof size === 'string' || (size !== undefined && end <= size))
        : start === 0 && size !== undefined;
    if (at === null || !fits) invalid(`slice ${start}:${end} of axis ${axis} of ${shapeText(x.shape)}`);
    const length = typeof end === 'number' ? end - start : end;
    return { ...x, shape: x.shape.with(at, length) as Shape };
  },
  evaluate({ x }, { axis, start, end }, bindings) {
    const at = axisOf(axis, x.shape.length) as number;
    const stop = bindDim(end, bindings);
    const { outer, length, inner } = aroundAxis(x.shape, at);
    if (stop === null || stop > length) invalid(`slice ${start}:${end} of axis ${axis} of ${shapeText(x.shape)}`);
    const block = (stop - start) * inner;
    const indices = new Int32Array(outer * block);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < block; i++) indices[o * block + i] = (o * length + start) * inner + i;
    }
    return pickElements(x, x.shape.with(at, stop - start), indices);
  },
});
