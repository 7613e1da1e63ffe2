import { expect, test } from 'vitest';
import { lowerings, refused } from '../../src/exporters/tflite/lowerings.ts';
import type { OpName } from '../../src/ir/ops/index.ts';
import { graphOf } from '../core.ts';
import { undecided } from '../undecided.ts';
import { bytesOf } from './tflite-lab.ts';

test('every op has a lowering or is refused', () => {
  expect(undecided('the lowerings to TFLite', lowerings, refused)).toEqual([]);
});

/** Of x f32[2] and p bool[2]. */
const CALLS: { readonly [O in OpName]?: string } = {
  and: 'and(p, p)',
  erf: 'erf(x)',
  expand: 'expand(x) {shape: [3, 2]}',
  foreign: 'foreign(x) {op: Einsum}',
  isNan: 'isNan(x)',
  minimum: 'minimum(x, x)',
  or: 'or(p, p)',
  pick: 'pick(x) {outputShape: [2]}',
  where: 'where(p, x, x)',
};

test.each(Object.keys(refused) as OpName[])('refuses %s by name, with the way out', async (op) => {
  const graph = graphOf(`graph g (x: f32[2], p: bool[2]) y = ${CALLS[op]} return out: y`);
  const name = op === 'foreign' ? 'Einsum' : op;
  await expect(bytesOf(graph)).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: `y: tflite has no lowering for ${name}`,
    hint: refused[op],
  });
});
