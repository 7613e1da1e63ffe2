import { describe, expect, test } from 'vitest';
import { tensorOf } from '../../src/ir/tensor.ts';
import { balancedScale, type StreamReader } from '../../src/passes/streams/stream-balance.ts';

const CHANNELS = 24;
const OUTPUTS = 40;
const TOKENS = 200;

function noise(count: number, seed: number): Float32Array {
  let state = Math.imul(seed, 0x9e3779b9) | 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39) | 0;
    return state / 2 ** 31;
  });
}

/** Values of a stream: channel 3 is much larger than the others, in all tokens or in one of so many. */
function streamOf(every: number, factor = 60): Float32Array {
  return noise(TOKENS * CHANNELS, 1).map((value, i) => {
    const [token, channel] = [Math.floor(i / CHANNELS), i % CHANNELS];
    return channel === 3 && token % every === 0 ? factor * value : value;
  });
}

const weight = noise(OUTPUTS * CHANNELS, 2);

function readerOf(values: Float32Array, matrix = weight) {
  const size = new Float64Array(CHANNELS);
  const power = new Float64Array(CHANNELS);
  values.forEach((value, i) => {
    const c = i % CHANNELS;
    size[c] = Math.max(size[c] as number, Math.abs(value));
    power[c] = (power[c] as number) + (value * value) / TOKENS;
  });
  return { weight: tensorOf('f32', [OUTPUTS, CHANNELS], matrix), size, power };
}

/** Σ error² / Σ result² of the linear when the stream is stored as x / scale in 8 bits, and its weight by rows. */
function measuredNoise(values: Float32Array, scale: Float64Array, matrix = weight): number {
  const stored = values.map((value, i) => value / (scale[i % CHANNELS] as number));
  const scaled = matrix.map((value, i) => value * (scale[i % CHANNELS] as number));
  const step = stored.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
  let [error, signal] = [0, 0];
  for (let row = 0; row < OUTPUTS; row++) {
    const own = scaled.subarray(row * CHANNELS, (row + 1) * CHANNELS);
    const rowStep = own.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
    for (let token = 0; token < TOKENS; token++) {
      let [real, rounded] = [0, 0];
      own.forEach((value, c) => {
        const x = stored[token * CHANNELS + c] as number;
        real += value * x;
        rounded += Math.round(value / rowStep) * rowStep * Math.round(x / step) * step;
      });
      error += (real - rounded) ** 2;
      signal += real ** 2;
    }
  }
  return error / signal;
}

describe('scales of a stream', () => {
  const columns = new Float64Array(CHANNELS).fill(1);

  test('follow the ranges where a channel is large in every token', () => {
    const values = streamOf(1);
    const reader = readerOf(values);
    const scale = balancedScale(reader.size, [reader]);
    expect((scale[3] as number) / (scale[4] as number)).toBeGreaterThan(20);
    expect(measuredNoise(values, scale)).toBeLessThan(measuredNoise(values, columns) / 5);
  });

  test('lie between ranges and weights where few tokens make a channel large', () => {
    const values = streamOf(100);
    const reader = readerOf(values);
    const chosen = measuredNoise(values, balancedScale(reader.size, [reader]));
    expect(chosen).toBeLessThan(measuredNoise(values, reader.size) / 1.5);
    expect(chosen).toBeLessThan(measuredNoise(values, columns) / 1.5);
  });

  test.each([10, 25, 50, 100])('leave hardly more noise than any other would, large in one token of %d', (every) => {
    const values = streamOf(every, 30);
    const reader = readerOf(values);
    const others = Array.from({ length: 21 }, (_, i) =>
      measuredNoise(
        values,
        columns.map((_, c) => (c === 3 ? 30 ** (i / 20) : 1)),
      ),
    );
    expect(measuredNoise(values, balancedScale(reader.size, [reader]))).toBeLessThan(1.2 * Math.min(...others));
  });

  test('are near those of the weights where a reader hardly reads what few tokens make large', () => {
    const deaf = weight.map((value, i) => (i % CHANNELS === 3 ? value / 100 : value));
    const values = streamOf(TOKENS);
    const readers = [weight, deaf].map((matrix) => readerOf(values, matrix)) as [StreamReader, StreamReader];
    const noiseOf = (scale: Float64Array) => measuredNoise(values, scale) + measuredNoise(values, scale, deaf);
    const others = Array.from({ length: 21 }, (_, i) => noiseOf(columns.map((_, c) => (c === 3 ? 60 ** (i / 20) : 1))));
    expect(noiseOf(balancedScale(readers[0].size, readers))).toBeLessThan(1.2 * Math.min(...others));
  });

  test('are the ranges where nothing is known of readers', () => {
    const ranges = Float64Array.of(1, 5, 0.2);
    expect(balancedScale(ranges, [])).toEqual(ranges);
  });

  test('grow with the stream, whatever scale the results of its readers have', () => {
    const values = streamOf(100);
    const reader = readerOf(values);
    const factors = Float64Array.from({ length: CHANNELS }, (_, c) => 2 ** ((c % 7) - 3));
    const scaled = {
      weight: tensorOf(
        'f32',
        [OUTPUTS, CHANNELS],
        weight.map((value, i) => (value / (factors[i % CHANNELS] as number)) * 2 ** (Math.floor(i / CHANNELS) % 5)),
      ),
      size: reader.size.map((size, c) => size * (factors[c] as number)),
      power: reader.power.map((power, c) => power * (factors[c] as number) ** 2),
    };
    const found = balancedScale(scaled.size, [scaled]);
    balancedScale(reader.size, [reader]).forEach((value, c) => {
      expect((found[c] as number) / (value * (factors[c] as number))).toBeCloseTo(1, 4);
    });
  });
});
