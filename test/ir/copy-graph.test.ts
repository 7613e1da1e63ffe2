import { expect, test } from 'vitest';
import { copyGraph, copyNode } from '../../src/ir/copy-graph.ts';
import { Graph } from '../../src/ir/graph.ts';
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

test('leaves symbols that are not bound, and floats as they are', () => {
  const copy = copyGraph(graphOf(TEXT), { bindings: { other: 3 } });
  expect(graphText(copy)).toBe(graphText(graphOf(TEXT)));
  expect(copyGraph(graphOf(TEXT), { indexType: 'i32' }).inputs.map(({ type }) => type.dtype)).toEqual(['i32', 'f32']);
});

test('a symbol may become another', () => {
  const copy = copyGraph(graphOf(TEXT), { bindings: { sequence: 'length' } });
  expect(graphText(copy)).toMatchInlineSnapshot(`
    "graph g (ids: i64[batch, length], unused: f32[batch])
      e = gather(table f32[4, 2] #1a6bc689, ids)  f32[batch, length, 2]
      q = quantize(e)  i8[batch, length, 2] q(0.5, 3)
      p = slice(positions f32[9, 2] #248d5c7b) {end: length}  f32[length, 2]
      s = add(q, p)  f32[batch, length, 2]
      y = reshape(s) {shape: [batch*length, 2]}  f32[batch*length, 2]
    return y: y"
  `);
});

test('constants stay quantized, and over the same tensors', () => {
  const graph = graphOf(`graph g (x: f32[1, 2])
  y = linear(x, w i8[1, 2] q(0.5, 1) {3, 4})
return y: y`);
  const [before, after] = [graph, copyGraph(graph)].map((each) => each.nodes().find(({ name }) => name === 'w'));
  expect(after?.type).toEqual(before?.type);
  expect(after?.op === 'constant' && before?.op === 'constant' && after.tensor === before.tensor).toBe(true);
});

test('shapes that a foreign op states are bound as well', () => {
  const text = `graph g (x: f32[n])
  y = foreign(x) {op: Own, outputDtype: f32, outputShape: [n, 2]}
return y: y`;
  expect(copyGraph(graphOf(text), { bindings: { n: 7 } }).outputs[0]?.node.type.shape).toEqual([7, 2]);
});

test('whole numbers that a foreign op gives are of the type that the others get', () => {
  const text = `graph g (ids: i64[n])
  places = foreign() {op: Range, outputDtype: i64, outputShape: [n]}
  y = add(ids, places)
return y: y`;
  expect(copyGraph(graphOf(text), { indexType: 'i32' }).outputs[0]?.node.type.dtype).toBe('i32');
});

test('an input of another graph cannot be copied by itself', () => {
  const [x] = graphOf(TEXT).inputs;
  expect(() => copyNode(new Graph(), x as never, new Map(), {})).toThrow(
    expect.objectContaining({ code: 'INVALID_GRAPH', message: 'ids: is an input of another graph' }),
  );
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

test('a limited size is bound to a number, or keeps its limit with another symbol', () => {
  const text = `graph g (x: f32[batch, sequence])
  y = slice(x) {axis: 1, end: sequence:4}  f32[batch, sequence:4]
return y: y`;
  const bound = (sequence: number | string) => copyGraph(graphOf(text), { bindings: { sequence } });
  expect(bound(9).outputs[0]?.node.type.shape).toEqual(['batch', 4]);
  expect(bound(3).outputs[0]?.node.type.shape).toEqual(['batch', 3]);
  expect(bound('tokens').outputs[0]?.node.type.shape).toEqual(['batch', 'tokens:4']);
});

test('a number of more than 32 bits is refused where a format has only these', () => {
  const text = `graph g (ids: i64[batch])
  y = compare(ids, pad i64[] {4294967296})
return y: y`;
  expect(() => copyGraph(graphOf(text), { indexType: 'i32' })).toThrow(/pad: holds 4294967296/);
});
