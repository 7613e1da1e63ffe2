import { expect, test } from 'vitest';
import { distributionsOf } from '../../src/calibration/distributions.ts';
import { graphOf } from '../core.ts';

const GRAPH = `graph g (input_ids: i64[batch, sequence])
  rows = gather(table f32[4, 1] {-1, 0, 2, 3}, input_ids)
  act = relu(rows)
  count = reshape(input_ids) {shape: [batch*sequence]}
return act: act, count: count`;

test('distributions are of what tokens give, padding left out, and of real values alone', async () => {
  const rows = [
    { inputIds: [0, 1, 2], tokenTypeIds: [0, 0, 0] },
    { inputIds: [3], tokenTypeIds: [0] },
  ];
  // With a length of its own each sequence is padded with id 2, the values of which must not be counted.
  const found = await distributionsOf(graphOf(GRAPH), rows, { pad: 2, length: 4 });
  expect([...found.keys()].sort()).toEqual(['act', 'rows']);
  const { counts = [], ...facts } = found.get('rows') ?? {};
  expect(facts).toEqual({ least: -1, most: 3, rms: Math.sqrt((1 + 0 + 4 + 9) / 4) });
  expect(counts.flatMap((count, i) => (count > 0 ? [[i, count]] : []))).toEqual([
    [0, 1],
    [8, 1],
    [24, 1],
    [31, 1],
  ]);
  expect(found.get('act')).toMatchObject({ least: 0, most: 3 });
  expect(found.get('act')?.counts[0]).toBe(2);
});

test('progress goes once from nothing to the end', async () => {
  const heard: string[] = [];
  await distributionsOf(graphOf(GRAPH), [{ inputIds: [0], tokenTypeIds: [0] }], {
    pad: 0,
    progress: (done, total) => heard.push(`${done}/${total}`),
  });
  expect(heard).toEqual(['1/1']);
});
