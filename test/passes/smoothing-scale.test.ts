import { describe, expect, test } from 'vitest';
import { tensorOf } from '../../src/ir/tensor.ts';
import { cappedScale } from '../../src/passes/smoothing/smoothing-scale.ts';
import { random } from '../core.ts';

const TOKENS = 300;
const CHANNELS = 96;
const ROWS = 32;
const LOUD = [7, 40, 41];

const next = random(3);
const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
const isLoud = (c: number) => LOUD.includes(c);
/** Values [tokens, channels], three channels of which are large, and a weight [rows, channels]. */
const values = Float64Array.from({ length: TOKENS * CHANNELS }, (_, i) => normal() * (isLoud(i % CHANNELS) ? 15 : 1));
const weight = Float32Array.from({ length: ROWS * CHANNELS }, () => normal() / 10);

const columns = Array.from({ length: CHANNELS }, (_, c) =>
  Array.from({ length: TOKENS }, (_, t) => values[t * CHANNELS + c] as number),
);
const size = Float64Array.from(columns, (column) => Math.max(...column.map(Math.abs)));
const power = Float64Array.from(columns, (column) => column.reduce((sum, x) => sum + x * x, 0) / TOKENS);
const smoothed = { weights: [tensorOf('f32', [ROWS, CHANNELS], weight)], size, power };

/**
 * The mean square of what rounding does to the product when values get 8 bits per tensor and weights 8 bits per row;
 * `aside` are left out of both.
 */
function noiseOf(scale: Float64Array, aside: readonly number[] = []): number {
  const x = values.map((value, i) => (aside.includes(i % CHANNELS) ? 0 : value / (scale[i % CHANNELS] as number)));
  const w = weight.map((value, i) => (aside.includes(i % CHANNELS) ? 0 : value * (scale[i % CHANNELS] as number)));
  const step = (2 * x.reduce((most, value) => Math.max(most, Math.abs(value)), 0)) / 255;
  const rounded = x.map((value) => Math.round(value / step) * step);
  let noise = 0;
  for (let row = 0; row < ROWS; row++) {
    const real = w.subarray(row * CHANNELS, (row + 1) * CHANNELS);
    const rowStep = real.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
    for (let t = 0; t < TOKENS; t++) {
      let error = 0;
      for (let c = 0; c < CHANNELS; c++) {
        const stored = Math.round((real[c] as number) / rowStep) * rowStep;
        error += (rounded[t * CHANNELS + c] as number) * stored - (x[t * CHANNELS + c] as number) * (real[c] as number);
      }
      noise += error * error;
    }
  }
  return noise / (TOKENS * ROWS);
}

const decibels = (ratio: number) => 10 * Math.log10(ratio);
const ONES = new Float64Array(CHANNELS).fill(1);

describe('capped scales', () => {
  const plain = cappedScale(smoothed, 0);
  const side = cappedScale(smoothed, 3);

  test('bring loud channels down to what others reach, and scale nothing up', () => {
    const largest = Math.max(...plain.scale.map((scale, c) => (size[c] as number) / scale));
    for (const c of LOUD) expect((size[c] as number) / (plain.scale[c] as number)).toBeCloseTo(largest, 6);
    expect(Math.min(...plain.scale)).toBe(1);
  });

  test('are expected to bring what they bring, within a decibel', () => {
    const before = noiseOf(ONES);
    const gain = decibels(before / noiseOf(plain.scale));
    expect(gain).toBeGreaterThan(6);
    expect(Math.abs(decibels(plain.noiseBefore / plain.noise) - gain)).toBeLessThan(1);
    const sideGain = decibels(before / noiseOf(side.scale, side.aside));
    expect(sideGain).toBeGreaterThan(gain + 2);
    expect(Math.abs(decibels(side.noiseBefore / side.noise) - sideGain)).toBeLessThan(1);
  });

  test('leave the loudest channels aside, and their scale at 1', () => {
    expect([...side.aside].sort((a, b) => a - b)).toEqual(LOUD);
    for (const c of LOUD) expect(side.scale[c]).toBe(1);
  });

  test('are no worse than any cap that was not tried', () => {
    const order = [...size].sort((a, b) => b - a);
    const others = order.slice(3, 80).map((cap) => noiseOf(size.map((value) => Math.max(1, value / cap))));
    expect(decibels(noiseOf(plain.scale) / Math.min(...others))).toBeLessThan(1);
  });
});
