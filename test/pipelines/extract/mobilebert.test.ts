import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openProducts } from '../../../src/calibration/products.ts';
import type { TextMatrix, TextRuns } from '../../../src/ir/text-runs.ts';
import { openModel } from '../../../src/opened/open-model.ts';
import { extract } from '../../../src/pipelines/extract/extract.ts';
import { fitUpdate } from '../../../src/pipelines/extract/mobilebert/fit-update.ts';
import { resizeHeads } from '../../../src/pipelines/extract/mobilebert/head-sizes.ts';
import { readShape } from '../../../src/pipelines/extract/shape.ts';
import { factorCholesky } from '../../../src/solve/cholesky.ts';
import { times, timesTransposed, turned } from '../../../src/solve/matrices.ts';
import { randomNumbers } from '../../../src/solve/random-numbers.ts';
import { reducedRank } from '../../../src/solve/reduced-rank.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const TEXTS = 'fixtures/mobilebert-demo/sst2-train-256.txt';
const SOURCE = 'fixtures/bert-seqcls';

function shapeFile(name: string, sizes: object): string {
  const path = join(folder, `${name}.json`);
  writeFileSync(path, JSON.stringify(sizes));
  return path;
}

/** Half of the teacher's neurons and two of its four heads. */
const SIZES = {
  model_type: 'mobilebert',
  embedding_size: 24,
  intra_bottleneck_size: 24,
  num_attention_heads: 2,
  intermediate_size: 24,
  num_feedforward_networks: 2,
};

const products = await openProducts(1);
afterAll(() => products.close());
const runs = products as unknown as TextRuns;

const random = randomNumbers(4);
const noise = (count: number) => Float32Array.from({ length: count }, () => random() + random() + random() - 1.5);
const matrix = (values: Float32Array, columns: number): TextMatrix => {
  const rows = values.length / columns;
  return { values, rows, columns, sequence: Int32Array.from({ length: rows }, (_, i) => i), fitted: rows * 0.75 };
};
const product = (h: TextMatrix, map: Float64Array) =>
  matrix(Float32Array.from(timesTransposed(Float64Array.from(h.values), map, h.columns)), map.length / h.columns);
const distance = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let [error, power] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    error += ((a[i] as number) - (b[i] as number)) ** 2;
    power += (a[i] as number) ** 2;
  }
  return Math.sqrt(error / power);
};

describe('a map of low rank', () => {
  const [size, out] = [6, 8];
  const h = matrix(noise(400 * size), size);
  const gram = timesTransposed(
    turned(Float64Array.from(h.values), size),
    turned(Float64Array.from(h.values), size),
    400,
  );
  factorCholesky(gram, size);

  test('is the map itself where that has the rank', () => {
    const map = times(Float64Array.from(noise(out * 2)), Float64Array.from(noise(2 * size)), 2);
    const { reduce, expand } = reducedRank(map, size, { rank: 2, factor: gram });
    expect([reduce.length, expand.length]).toEqual([2 * size, out * 2]);
    expect(distance(map, times(expand, reduce, 2))).toBeLessThan(1e-6);
  });

  test('keeps the outputs that weigh most', () => {
    const map = Float64Array.from(noise(out * size));
    const weights = new Float64Array(out).fill(1e-3).fill(1, 0, 2);
    const { reduce, expand } = reducedRank(map, size, { rank: 2, factor: gram, weights });
    const made = times(expand, reduce, 2);
    expect(distance(map.subarray(0, 2 * size), made.subarray(0, 2 * size))).toBeLessThan(1e-3);
    expect(distance(map.subarray(2 * size), made.subarray(2 * size))).toBeGreaterThan(0.1);
  });
});

test('heads that are narrower than they look keep their scores and what they mix', async () => {
  const [heads, from, to, rows] = [2, 6, 3, 200];
  const narrow = () => product(matrix(noise(rows * heads * to), heads * to), blockMap(heads, from, to));
  const [query, key, value] = [narrow(), narrow(), narrow()];
  const output = noise(5 * heads * from);
  const found = await resizeHeads({ query, key, value }, output, { heads, from, to }, runs);
  expect(found.query.columns).toBe(heads * to);
  const scores = (q: TextMatrix, k: TextMatrix, size: number, head: number) => {
    const part = (m: TextMatrix, row: number) =>
      m.values.subarray(row * m.columns + head * size, row * m.columns + (head + 1) * size);
    const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
    return Array.from({ length: 100 }, (_, i) => dot(part(q, i), part(k, (7 * i) % rows)) / Math.sqrt(size));
  };
  for (let head = 0; head < heads; head++) {
    expect(distance(scores(query, key, from, head), scores(found.query, found.key, to, head))).toBeLessThan(1e-3);
  }
  const same = await resizeHeads({ query, key, value }, output, { heads, from, to: from }, runs);
  expect(same.value).toBe(value);
});

/** A map by which each head of `from` channels is made of `to`. */
function blockMap(heads: number, from: number, to: number): Float64Array {
  const map = new Float64Array(heads * from * heads * to);
  for (let i = 0; i < heads * from; i++) {
    const head = Math.floor(i / from);
    for (let j = 0; j < to; j++) map[i * heads * to + head * to + j] = random() - 0.5;
  }
  return map;
}

test('an update of a rank is found with its gains', async () => {
  const [rows, width, states, rank] = [1200, 6, 2, 2];
  const [x, context] = [matrix(noise(rows * width), width), matrix(noise(rows * 4), 4)];
  const state = product(x, Float64Array.from(noise(states * width)));
  const features = matrix(new Float32Array(rows * (width + 4)), width + 4);
  for (let row = 0; row < rows; row++) {
    features.values.set(x.values.subarray(row * width, (row + 1) * width), row * (width + 4));
    features.values.set(context.values.subarray(row * 4, (row + 1) * 4), row * (width + 4) + width);
  }
  const map = times(Float64Array.from(noise(width * rank)), Float64Array.from(noise(rank * (width + 4))), rank);
  const gains = Float64Array.from({ length: width }, (_, c) => 0.5 + 0.1 * c);
  const y = product(features, map);
  for (let at = 0; at < y.values.length; at++) {
    y.values[at] = (y.values[at] as number) + (gains[at % width] as number) * (x.values[at] as number) + 3;
  }
  const found = await fitUpdate({ x, y, state, features, rank }, runs);
  const made = product(product(features, found.reduce), found.fromUpdate);
  const kept = product(state, found.fromState);
  const fitted = made.values.map(
    (value, at) =>
      value +
      (kept.values[at] as number) +
      (found.gain[at % width] as number) * (x.values[at] as number) +
      (found.offset[at % width] as number),
  );
  expect(distance(y.values, fitted)).toBeLessThan(0.05);
});

describe('a BERT becomes a MobileBERT', () => {
  const of = (name: string, sizes: object, recover = false) =>
    extract({
      source: SOURCE,
      output: join(folder, name),
      shape: shapeFile(`${name}-shape`, sizes),
      method: 'activations',
      calibrate: TEXTS,
      samples: 120,
      recover,
    });

  test('with the names, the sizes and the settings that transformers reads', async () => {
    const result = await of('mobile', SIZES);
    expect(result.shape).toMatchObject({
      layers: 2,
      hidden: 48,
      heads: 2,
      intermediate: 24,
      mobilebert: { embedding: 24, bottleneck: 24, feedForwards: 2, attentionInBottleneck: false },
    });
    const config = JSON.parse(readFileSync(join(folder, 'mobile', 'config.json'), 'utf8'));
    expect(config).toMatchObject({
      architectures: ['MobileBertForSequenceClassification'],
      model_type: 'mobilebert',
      hidden_act: 'relu',
      intra_bottleneck_size: 24,
      key_query_shared_bottleneck: true,
      normalization_type: 'no_norm',
      num_feedforward_networks: 2,
      trigram_input: true,
    });
    expect(config).not.toHaveProperty('position_embedding_type');
    const student = await openModel(join(folder, 'mobile'));
    expect({ warnings: student.warnings, unused: student.unused }).toEqual({ warnings: [], unused: [] });
    student.close();
  });

  test('nearer to the teacher where each layer is fitted to what the layers before came to', async () => {
    const fitted = await of('fitted', SIZES, true);
    const bare = await of('bare', SIZES);
    expect(fitted.refitted).toBeGreaterThan(40);
    expect(fitted.heldOut?.sqnrDb).toBeGreaterThan((bare.heldOut?.sqnrDb as number) + 0.3);
    expect(fitted.heldOut?.sqnrDb).toBeGreaterThan(9);
  });

  test('whose attention reads the bottleneck', async () => {
    const result = await of('tiny', { ...SIZES, use_bottleneck_attention: true }, true);
    expect(result.shape.mobilebert?.attentionInBottleneck).toBe(true);
    expect(result.heldOut?.sqnrDb).toBeGreaterThan(1);
    const student = await openModel(join(folder, 'tiny'));
    expect(student.unused).toEqual([]);
    student.close();
  });
});

describe('shapes', () => {
  const base = { layers: 12, hidden: 768, intermediate: 3072, heads: 12 };

  test('of presets are the published ones, where the teacher has as much', () => {
    expect(readShape('mobilebert', base)).toMatchObject({
      layers: 12,
      hidden: 512,
      intermediate: 512,
      mobilebert: { embedding: 128, bottleneck: 128, heads: 4, feedForwards: 4, attentionInBottleneck: false },
    });
    const small = readShape('mobilebert-tiny', { layers: 6, hidden: 384, intermediate: 1536, heads: 12 });
    expect(small).toMatchObject({
      layers: 6,
      hidden: 384,
      intermediate: 512,
      mobilebert: { feedForwards: 2, attentionInBottleneck: true },
    });
  });

  test.each([
    ['more layers', { num_hidden_layers: 13 }, /num_hidden_layers 13: the teacher has 12/],
    ['more neurons', { intermediate_size: 1000 }, /4 networks of 1000 neurons: the teacher has 3072/],
    ['wider heads', { num_attention_heads: 1 }, /heads of 128 channels have 128 each, the teacher's 64/],
    ['parts of a channel', { num_attention_heads: 3 }, /heads of 128 channels/],
    ['words wider than the stream', { hidden_size: 128, embedding_size: 256 }, /embedding_size 256: is more than/],
    ['a bottleneck that is none', { hidden_size: 128, intra_bottleneck_size: 256 }, /is more than hidden_size 128/],
    ['queries that share nothing', { key_query_shared_bottleneck: false }, /key_query_shared_bottleneck: is false/],
    ['a word for true', { use_bottleneck_attention: 'yes' }, /use_bottleneck_attention: is "yes", not true or false/],
    ['networks without neurons', { num_feedforward_networks: 4000 }, /4000 networks: the teacher has 3072 neurons/],
    ['norms that students do not have', { normalization_type: 'layer_norm' }, /normalization_type: is "layer_norm"/],
  ])('refuse %s', (_, sizes, problem) => {
    const path = shapeFile('bad', { model_type: 'mobilebert', ...sizes });
    expect(() => readShape(path, base)).toThrow(problem);
  });
});

test.each([
  ['new weights', { method: 'scratch' }, /--method scratch: makes a BERT, and --shape .* is a MobileBERT/],
  ['no text', { calibrate: undefined, method: 'random' }, /--shape .*: needs --calibrate FILE/],
  [
    'a head that a MobileBERT ties otherwise',
    { source: 'fixtures/bert-mlm' },
    /cls\.predictions.*a MobileBERT has no such weight/,
  ],
] as const)('refuses %s', async (_, options, problem) => {
  const call = extract({
    source: SOURCE,
    output: join(folder, 'refused'),
    shape: shapeFile('refused', SIZES),
    calibrate: TEXTS,
    method: 'random',
    samples: 20,
    ...options,
  });
  await expect(call).rejects.toThrow(problem);
});
