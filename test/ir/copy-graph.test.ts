import { expect, test } from 'vitest';
import { copyGraph } from '../../src/ir/copy-graph.ts';
import { graphText } from '../../src/ir/text.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import { graphOf } from '../core.ts';

const TEXT = `graph g (ids: i64[batch, sequence], unused: f32[batch])
  e = gather(table f32[4, 2] #1, ids)  f32[batch, sequence, 2]
  p = slice(positions f32[9, 2] #2) {end: sequence}  f32[sequence, 2]
  q = quantize(e)  i8[batch, sequence, 2] q(0.5, 3)
  s = add(q, p)  f32[batch, sequence, 2]
  y = reshape(s) {shape: [batch*sequence, 2]}  f32[batch*sequence, 2]
return y: y`;

test('a copy is the same graph, and changing it leaves the other alone', () => {
  const graph = graphOf(TEXT);
  const before = graphText(graph);
  const copy = copyGraph(graph);
  expect(graphText(copy)).toBe(before);
  copy.output('more', copy.add('relu', [copy.outputs[0]?.node as never]));
  expect(graphText(graph)).toBe(before);
});

test('binds symbols everywhere, also one of two in a product', () => {
  const copy = copyGraph(graphOf(TEXT), { bindings: { sequence: 5 }, indexType: 'i32' });
  verifyGraph(copy, 'copy');
  expect(graphText(copy)).toMatchInlineSnapshot(`
    "graph g (ids: i32[batch, 5], unused: f32[batch])
      e = gather(table f32[4, 2] #1a6bc689, ids)  f32[batch, 5, 2]
      q = quantize(e)  i8[batch, 5, 2] q(0.5, 3)
      p = slice(positions f32[9, 2] #248d5c7b) {end: 5}  f32[5, 2]
      s = add(q, p)  f32[batch, 5, 2]
      y = reshape(s) {shape: [5*batch, 2]}  f32[5*batch, 2]
    return y: y"
  `);
});

test.each(['i32', 'i64'] as const)('computes with ids in %s wherever they are computed with', (indexType) => {
  const copy = copyGraph(
    graphOf(`graph g (ids: ${indexType === 'i32' ? 'i64' : 'i32'}[4])
  e = compare(ids, pad ${indexType === 'i32' ? 'i64' : 'i32'}[] {1})
  n = not(e)
  t = cast(n) {to: ${indexType === 'i32' ? 'i64' : 'i32'}}
  p = add(t, pad)
  y = gather(table f32[9, 2] #1, p)
  n2 = gather(numbers ${indexType === 'i32' ? 'i64' : 'i32'}[3] {4, 5, 6}, p)
  z = add(n2, p)
return y: y, z: z`),
    { indexType },
  );
  verifyGraph(copy, 'copy');
  expect(graphText(copy).split('\n').slice(1, 5)).toEqual([
    `  e = compare(ids, pad ${indexType}[] {1})  bool[4]`,
    '  n = not(e)  bool[4]',
    `  t = cast(n) {to: ${indexType}}  ${indexType}[4]`,
    expect.stringContaining(`  ${indexType}[4]`),
  ]);
});
