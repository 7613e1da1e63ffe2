import { expect, test } from 'vitest';
import { parseGraph } from '../../../src/ir/text.ts';
import { pairValues } from '../../../src/pipelines/verify/pairs.ts';

const SOURCE = `graph g (x: f32[1, 2])
  up = linear(x, w f32[3, 2] {1, 2, 3, 4, 5, 6}, b f32[3] {1, 1, 1})
  act = gelu(up)
  down = linear(act, v f32[2, 3] {1, 0, 2, 0, 3, 0}, c f32[2] {1, 2})
  sum = add(down, x)
  norm = layerNorm(sum, g f32[2] {1, 2}, h f32[2] {0, 1})
return y: norm`;

async function paired(reference: string, model: string): Promise<string[]> {
  const [found] = await pairValues(parseGraph(reference), parseGraph(model));
  return (found?.pairs ?? []).map(({ reference: a, model: b }) => `${a.name}/${b.name}`);
}

test('a graph is paired with itself, in the order of computing', async () => {
  expect(await paired(SOURCE, SOURCE)).toEqual(['up/up', 'act/act', 'down/down', 'sum/sum', 'norm/norm']);
});

test('names do not matter where the structure tells', async () => {
  const names = { up: 'm1', act: 'm2', down: 'm3', sum: 'm4', norm: 'm5' };
  const renamed = Object.entries(names).reduce(
    (text, [from, to]) => text.replace(new RegExp(`\\b${from}\\b`, 'g'), to),
    SOURCE,
  );
  expect(await paired(SOURCE, renamed)).toEqual(['up/m1', 'act/m2', 'down/m3', 'sum/m4', 'norm/m5']);
});

test('another activation has no pair, what comes after it has', async () => {
  expect(await paired(SOURCE, SOURCE.replace('gelu', 'tanh'))).toEqual(['up/up', 'down/down', 'sum/sum', 'norm/norm']);
});

test('values of another width are no pair', async () => {
  const narrow = `graph g (x: f32[1, 2])
  up = linear(x, w f32[1, 2] {1, 2})
  norm = layerNorm(x, g f32[2] {1, 2}, h f32[2] {0, 1})
  y = add(norm, up)
return y: y`;
  expect(await paired(SOURCE, narrow)).toEqual(['norm/norm']);
});

test('graphs with nothing in common have no pairs', async () => {
  expect(await paired(SOURCE, 'graph g (x: f32[1, 2])\n  y = tanh(x)\nreturn y: y')).toEqual([]);
});

test('attention of one token is no pair of that of all, unless both have one', async () => {
  const all = `graph g (x: f32[1, 2, sequence, 2])
  scores = matmul(x, x) {transposeB: true}
  p = softmax(scores)
return y: p`;
  const one = all
    .replace('matmul(x, x)', 'matmul(cut, x)')
    .replace('  scores', '  cut = slice(x) {axis: 2, end: 1}\n  scores');
  expect(await paired(all, one)).toEqual([]);
  expect(await paired(one, one)).toEqual(['scores/scores', 'p/p']);
});
