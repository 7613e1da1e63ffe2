import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openProducts } from '../../../src/calibration/products.ts';
import { extract } from '../../../src/pipelines/extract/extract.ts';
import { mapLayers } from '../../../src/pipelines/map-layers/map-layers.ts';
import { mappingsOf } from '../../../src/pipelines/map-layers/mappings.ts';
import { alignment, layerValues, reconstructionError } from '../../../src/pipelines/map-layers/similarity.ts';
import { random } from '../../core.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const TEXTS = 'fixtures/mobilebert-demo/sst2-train-256.txt';
const BERT = 'fixtures/bert-seqcls';

describe('similarity', () => {
  const next = random(5);
  const matrixOf = (columns: number, value: (row: number, column: number) => number) => ({
    values: Float32Array.from({ length: 60 * columns }, (_, i) => value(Math.floor(i / columns), i % columns)),
    rows: 60,
    columns,
    sequence: new Int32Array(60),
    fitted: 48,
  });
  const x = matrixOf(3, () => 2 * next() - 1);
  const at = (row: number, column: number) => x.values[row * 3 + column] as number;

  async function prepared(...matrices: readonly ReturnType<typeof matrixOf>[]) {
    const products = await openProducts(1);
    onTestFinished(() => products.close());
    const values = [];
    for (const matrix of matrices) values.push(await layerValues(matrix, products as never));
    return { values: values as [(typeof values)[0], (typeof values)[0]], products: products as never };
  }

  test('a rotated and moved copy is aligned, and rebuilt without error', async () => {
    const rotated = matrixOf(3, (row, c) => 5 + (c === 2 ? at(row, 2) : c === 0 ? -at(row, 1) : at(row, 0)));
    const { values, products } = await prepared(x, rotated);
    expect(await alignment(...values, products)).toBeCloseTo(1, 5);
    expect(await reconstructionError(...values, products)).toBeLessThan(1e-5);
  });

  test('what is only stretched is rebuilt, and aligned as far as its kernel is alike', async () => {
    const stretched = matrixOf(3, (row, c) => (c === 0 ? 10 : 1) * at(row, c));
    const { values, products } = await prepared(x, stretched);
    const found = await alignment(...values, products);
    expect(found).toBeGreaterThan(0.3);
    expect(found).toBeLessThan(0.8);
    expect(await reconstructionError(...values, products)).toBeLessThan(1e-3);
  });

  test('noise is neither, and the error counts on rows that were not fitted to', async () => {
    const noise = matrixOf(3, () => 2 * next() - 1);
    const { values, products } = await prepared(x, noise);
    expect(await alignment(...values, products)).toBeLessThan(0.2);
    expect(await reconstructionError(...values, products)).toBeGreaterThan(0.8);
  });
});

test('the four ways to map are told with their means', () => {
  const errors = [
    [0.5, 0.1, 0.4, 0.9],
    [0.9, 0.9, 0.3, 0.2],
  ];
  const alignments = errors.map((row) => row.map((error) => 1 - error));
  const found = mappingsOf({ functionErrors: null, errors, alignments });
  expect(found.map(({ method, map, functionError, error }) => [method, map, functionError, round(error)])).toEqual([
    ['best', [1, 3], null, 0.15],
    ['greedy', [1, 3], null, 0.15],
    ['uniform', [1, 3], null, 0.15],
    ['last', [2, 3], null, 0.3],
  ]);
});

test('what layers do counts before what they give, which decides between layers that do the same', () => {
  const functionErrors = [[0.4, 0.4, 0.4, 0.9]];
  const errors = [[0.5, 0.3, 0.4, 0.1]];
  const [best] = mappingsOf({ functionErrors, errors, alignments: errors });
  expect(best).toMatchObject({ map: [1], functionError: 0.4, error: 0.3 });
});

const round = (value: number) => Number(value.toFixed(6));

test('a model is nearest to itself, layer by layer, and the map is written', async () => {
  const output = join(folder, 'map.json');
  const options = { calibrate: TEXTS, samples: 40, method: 'greedy', output } as const;
  const { mappings, errors, alignments } = await mapLayers({ teacher: BERT, student: BERT, ...options });
  expect(mappings.slice(0, 2).map(({ map }) => map)).toEqual([
    [0, 1],
    [0, 1],
  ]);
  expect(JSON.parse(readFileSync(output, 'utf8'))).toEqual({ 0: 0, 1: 1 });
  for (const layer of [0, 1]) {
    expect(alignments[layer]?.[layer]).toBeCloseTo(1, 4);
    expect(errors[layer]?.[layer]).toBeLessThan(0.05);
  }
});

test('finds the layer that a student was made of', async () => {
  const shape = join(folder, 'one.json');
  writeFileSync(shape, '{"num_hidden_layers": 1}');
  const student = join(folder, 'student');
  await extract({ source: BERT, output: student, method: 'random', layers: 'first', shape });
  const { mappings } = await mapLayers({ teacher: BERT, student, calibrate: TEXTS, samples: 40 });
  expect(mappings.map(({ method, map }) => [method, map])).toEqual([
    ['best', [0]],
    ['greedy', [0]],
    ['uniform', [1]],
    ['last', [1]],
  ]);
  expect(mappings[1]?.alignment).toBeCloseTo(1, 4);
  const swapped = mapLayers({ teacher: student, student: BERT, calibrate: TEXTS, samples: 40 });
  await expect(swapped).rejects.toThrow(/has 2 layers, the teacher 1/);
});

test('refuses models of other words, and no text', async () => {
  const pair = { teacher: 'fixtures/mobilebert-demo', student: BERT };
  await expect(mapLayers({ ...pair, calibrate: TEXTS })).rejects.toThrow(/has 1000 words, the teacher \d+/);
  await expect(mapLayers({ ...pair, calibrate: TEXTS, output: 'map.txt' })).rejects.toThrow(/is a .json file/);
  await expect(mapLayers(pair)).rejects.toThrow(/needs --calibrate/);
});
