import { expect, test } from 'vitest';
import type { TextMatrix } from '../../src/ir/text-runs.ts';
import { featuresOf } from '../../src/solve/features.ts';
import { fitLayer, type LayerProblem } from '../../src/solve/fit-layer.ts';
import { at, built, noise, pick, runs } from './matrices.ts';

test('finds gain, change and offset that were put in', async () => {
  const h = noise(3, 1);
  const z = noise(2, 2);
  const y = built(2, (row, c) => pick([2, -0.5], c) * at(z, row, c) + pick([0.3, -0.7], c) * at(h, row, 1) + c);
  const { gain, change, offset, errorAfter } = await fitLayer(await problem({ h, z, y }), runs);
  expect(rounded(gain)).toEqual([2, -0.5]);
  expect(rounded(change)).toEqual([0, 0.3, 0, 0, -0.7, 0]);
  expect(rounded(offset)).toEqual([0, 1]);
  expect(errorAfter).toBeLessThan(1e-6);
});

test('leaves the gain at 1 where it is not wanted', async () => {
  const h = noise(2, 3);
  const z = noise(1, 4);
  const y = built(1, (row) => 3 * at(z, row, 0) + at(h, row, 0));
  expect(Array.from((await fitLayer(await problem({ h, z, y, hasGain: false }), runs)).gain)).toEqual([1]);
});

test('changes nothing by what only looks related on the rows that are fitted to', async () => {
  const h = noise(60, 5);
  const z = noise(1, 6);
  const y = built(1, (row) => at(z, row, 0) + at(noise(1, 7), row, 0) * 0.1);
  const short = (matrix: TextMatrix): TextMatrix => ({
    ...matrix,
    rows: 80,
    fitted: 64,
    values: matrix.values.slice(0, 80 * matrix.columns),
  });
  const fit = await fitLayer(await problem({ h: short(h), z: short(z), y: short(y) }), runs);
  expect(fit.errorAfter).toBeLessThanOrEqual(fit.errorBefore);
  expect(Math.max(...Array.from(fit.change ?? [0], Math.abs))).toBeLessThan(0.03);
});

test('a constant channel of h gets no weight, one of z keeps its gain, a repeated one shares', async () => {
  const source = noise(1, 8);
  const h = built(3, (row, c) => (c === 0 ? 5 : at(source, row, 0)));
  const z = built(2, (row, c) => (c === 0 ? 7 : at(source, row, 0) ** 2));
  const y = built(2, (row, c) => (c === 0 ? 1 : 0) + at(source, row, 0) + at(z, row, 1));
  const { gain, change, offset } = await fitLayer(await problem({ h, z, y }), runs);
  expect(Array.from(gain).every(Number.isFinite)).toBe(true);
  expect(Array.from(offset).every(Number.isFinite)).toBe(true);
  const [constant, first, second] = rounded(change);
  expect(constant).toBe(0);
  expect(first).toBe(second);
});

test('without a linear only gain and offset are fitted', async () => {
  const z = noise(1, 9);
  const y = built(1, (row) => 4 * at(z, row, 0) - 3);
  const fit = await fitLayer(await problem({ h: undefined, z, y }), runs);
  expect([rounded(fit.gain), rounded(fit.offset), fit.change]).toEqual([[4], [-3], undefined]);
});

test('errors are those of held-out rows, whose own gain takes no part in them', async () => {
  const z = noise(1, 10);
  // Twice z where it is fitted to, five times z where it is held out.
  const y = built(1, (row) => (row < z.fitted ? 2 : 5) * at(z, row, 0));
  const { errorBefore } = await fitLayer(await problem({ h: undefined, z, y }), runs);
  expect(errorBefore).toBeCloseTo((5 - 2) ** 2 / 5 ** 2, 2);
});

test('what is taken from h is chosen without the rows that judge it', async () => {
  const [h, z] = [noise(1, 11), noise(1, 12)];
  const y = built(1, (row) => at(z, row, 0) + (row < z.fitted ? 1 : -1) * at(h, row, 0));
  const { change, errorBefore, errorAfter } = await fitLayer(await problem({ h, z, y }), runs);
  expect(change).toBeUndefined();
  expect(errorAfter).toBe(errorBefore);
});

test('what is chosen on held-out rows is then fitted to all of them', async () => {
  const [h, z] = [noise(1, 14), noise(1, 15)];
  const y = built(1, (row) => at(z, row, 0) + (row < z.fitted ? 1 : 1.2) * at(h, row, 0));
  const { change } = await fitLayer(await problem({ h, z, y }), runs);
  // Four fifths of the rows want 1, the others 1.2: 1.04 together.
  expect(change?.[0]).toBeGreaterThan(1.025);
  expect(change?.[0]).toBeLessThan(1.055);
});

test('where z is next to a combination of h, the gain stays what it is alone', async () => {
  const [h, rest] = [noise(2, 16), noise(1, 17)];
  const z = built(1, (row) => at(h, row, 0) + 0.005 * at(rest, row, 0));
  const y = built(1, (row) => 3 * at(h, row, 0));
  const { gain, change } = await fitLayer(await problem({ h, z, y }), runs);
  expect(gain[0]).toBeGreaterThan(2.85);
  expect(gain[0]).toBeLessThan(3.05);
  expect(Math.abs(change?.[0] ?? 1)).toBeLessThan(0.2);
});

test('few rows of much noise are regularized more than the search begins with', async () => {
  const h = noise(60, 18);
  const z = noise(1, 19);
  const y = built(1, (row) => at(z, row, 0) + 0.5 * at(h, row, 0) + at(noise(1, 20), row, 0));
  const short = (matrix: TextMatrix): TextMatrix => ({
    ...matrix,
    rows: 120,
    fitted: 80,
    values: matrix.values.slice(0, 120 * matrix.columns),
  });
  const { ridge } = await fitLayer(await problem({ h: short(h), z: short(z), y: short(y) }), runs);
  expect(ridge).toBeGreaterThan(-2);
});

test('a wanted channel that never changes says nothing of the error of the others', async () => {
  const [h, z] = [noise(2, 21), noise(2, 22)];
  const wanted = (row: number) => 2 * at(z, row, 0) + at(h, row, 1);
  const both = await fitLayer(await problem({ h, z, y: built(2, (row, c) => (c === 0 ? wanted(row) : 7)) }), runs);
  const first = (matrix: TextMatrix) => built(1, (row) => at(matrix, row, 0));
  const alone = await fitLayer(await problem({ h, z: first(z), y: built(1, wanted) }), runs);
  expect(both.errorBefore).toBeCloseTo(alone.errorBefore, 6);
  expect(both.errorBefore).toBeGreaterThan(0.05);
  expect(both.offset[1]).toBeCloseTo(7, 1);
});

test('channels that are tried are spread over all of them', async () => {
  const [h, z] = [noise(1, 23), noise(128, 24)];
  // Only the second half wants something of h.
  const y = built(128, (row, c) => at(z, row, c) + (c < 64 ? 0 : at(h, row, 0)));
  const { change } = await fitLayer(await problem({ h, z, y }), runs);
  expect(change?.[127]).toBeCloseTo(1, 1);
});

test('a gain is no less than a fiftieth of the median, of either sign', async () => {
  const z = noise(5, 13);
  const y = built(5, (row, c) => pick([2, -3, 1, 1e-3, -1e-3], c) * at(z, row, c));
  const { gain } = await fitLayer(await problem({ h: undefined, z, y }), runs);
  expect(Array.from(gain, (value) => Number(value.toFixed(4)))).toEqual([2, -3, 1, 0.02, -0.02]);
});

async function problem({
  h,
  z,
  y,
  hasGain = true,
}: Pick<LayerProblem, 'z' | 'y'> & {
  readonly h: TextMatrix | undefined;
  readonly hasGain?: boolean;
}): Promise<LayerProblem> {
  return { features: h && (await featuresOf(h, runs)), z, y, hasGain };
}

function rounded(values: Float64Array | undefined): number[] {
  return Array.from(values ?? [], (value) => Number(value.toFixed(2)) + 0);
}
