import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Candidate } from '../../../src/pipelines/search/changes.ts';
import { measureLatencies } from '../../../src/pipelines/search/latency.ts';
import { temporaryFolder } from '../written.ts';
import { spaceOf } from './space.ts';

const folder = temporaryFolder();

test('equal layers are timed once, times of the table are taken over, and savings are those beside the layer', async () => {
  const space = await spaceOf('bert-seqcls');
  const candidates: Candidate[] = [
    { layer: -1, change: { kind: 'rank', rank: 12 } },
    { layer: 0, change: { kind: 'drop' } },
    { layer: 0, change: { kind: 'linear' } },
    { layer: 1, change: { kind: 'linear' } },
  ];
  const path = join(folder, 'latencies.json');
  const measure = () => measureLatencies(space, candidates, { path, progress: () => undefined });
  const { table, teacher } = await measure();
  // The whole teacher, a layer, and a linear in its place.
  expect(table.parts).toHaveLength(3);
  expect(teacher).toBe(table.parts[0]?.median);
  expect(teacher).toBeGreaterThan(0);

  const parts = table.parts.map((part, i) => ({ ...part, median: [10, 6, 1][i] }));
  writeFileSync(path, JSON.stringify({ ...table, parts }));
  const { saved } = await measure();
  // Two layers take 12 by themselves and 10 in the whole: a call is 1 of each, which the linear has as well.
  expect(candidates.map((candidate) => saved.get(candidate))).toEqual([undefined, 5, 5, 5]);

  writeFileSync(path, JSON.stringify({ ...table, processor: 'another one', parts }));
  await measure();
  expect(JSON.parse(readFileSync(path, 'utf8')).parts[0].median).not.toBe(10);

  for (const damaged of ['null', JSON.stringify({ ...table, parts: [null, { key: parts[0]?.key }] })]) {
    writeFileSync(path, damaged);
    expect((await measure()).teacher).toBeGreaterThan(0);
  }
});
