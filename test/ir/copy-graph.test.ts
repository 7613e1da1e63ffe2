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

test('a limited size is bound to a number, or keeps its limit with another symbol', () => {
  const text = `graph g (x: f32[batch, sequence])
  y = slice(x) {axis: 1, end: sequence:4}  f32[batch, sequence:4]
return y: y`;
  const bound = (sequence: number | string) => copyGraph(graphOf(text), { bindings: { sequence } });
  expect(bound(9).outputs[0]?.node.type.shape).toEqual(['batch', 4]);
  expect(bound(3).outputs[0]?.node.type.shape).toEqual(['batch', 3]);
  expect(bound('tokens').outputs[0]?.node.type.shape).toEqual(['batch', 'tokens:4']);
});

const COMPARED = `graph g (ids: i64[batch])
  f = compare(ids, pad i64[] {1}) {test: equal}  bool[batch]
  y = cast(f) {to: i64}  i64[batch]
return y: y`;

test('numbers that ids are compared with, and what is computed, become of the type of the ids', () => {
  const copy = copyGraph(graphOf(COMPARED), { indexType: 'i32' });
  verifyGraph(copy, 'copy');
  expect(graphText(copy)).toContain('pad i32[] {1}');
  expect(copy.outputs[0]?.node.type.dtype).toBe('i32');
});

test('a number of more than 32 bits is refused where a format has only these', () => {
  const text = COMPARED.replace('{1}', '{4294967296}');
  expect(() => copyGraph(graphOf(text), { indexType: 'i32' })).toThrow(/pad: holds 4294967296/);
});
