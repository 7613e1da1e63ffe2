import { describe, expect, test } from 'vitest';
import { encoderLayers, wholeEncoderLayers } from '../../../src/pipelines/evaluate/encoder-layers.ts';
import { graphOf } from '../../core.ts';

/** A layer of attention over its input; what comes behind the attention's context is given. */
const layer = (name: string, input: string, ...behind: readonly string[]) => [
  `${name}.scores = matmul(${input}, ${input}) {transposeB: true}`,
  `${name}.p = softmax(${name}.scores)`,
  `${name}.context = matmul(${name}.p, ${input})`,
  ...behind,
];

const graph = (output: string, ...nodes: readonly string[]) =>
  graphOf(`graph g (x: f32[1, 3, 2])\n${nodes.map((node) => `  ${node}`).join('\n')}\nreturn y: ${output}`);

const NORM = 'g f32[2] {1, 1}, h f32[2] {0, 0}';

function endsOf(output: string, ...nodes: readonly string[]): [string, string][] {
  return encoderLayers(graph(output, ...nodes), 'm').map((found) => [found.attention.name, found.output.name]);
}

describe('a layer ends', () => {
  test('at the last sum, or the norm of one, that the next attention reads', () => {
    const nodes = [
      ...layer('a', 'x', 'a.sum = add(a.context, x)', `a.norm = layerNorm(a.sum, ${NORM})`, 'a.act = relu(a.norm)'),
      ...layer('b', 'a.act', 'b.first = add(b.context, a.act)', 'b.sum = add(b.first, b.first)'),
    ];
    expect(endsOf('b.sum', ...nodes)).toEqual([
      ['a.p', 'a.norm'],
      ['b.p', 'b.sum'],
    ]);
  });

  test('not at a sum beside the stream, nor at a bias, a pooled value or the norm of something else', () => {
    const nodes = [
      ...layer('a', 'x', 'a.sum = add(a.context, x)', 'a.aside = add(a.sum, a.sum)'),
      ...layer(
        'b',
        'a.sum',
        'b.sum = add(b.context, a.sum)',
        'b.act = relu(b.sum)',
        'b.bias = add(b.act, c f32[2] {1, 2})',
        `b.norm = noNorm(b.act, ${NORM})`,
        'b.cut = slice(b.sum) {axis: 1, end: 1}',
        'b.first = reshape(b.cut) {shape: [1, 2]}',
        'b.pooled = add(b.first, b.first)',
      ),
      'out = concat(b.bias, b.norm, a.aside) {axis: 1}',
      'more = reshape(b.pooled) {shape: [1, 1, 2]}',
      'all = concat(out, more) {axis: 1}',
    ];
    expect(endsOf('all', ...nodes)).toEqual([
      ['a.p', 'a.sum'],
      ['b.p', 'b.sum'],
    ]);
  });

  test('where attention is stored, masked or reshaped before it meets the values', () => {
    const nodes = [
      'scores = matmul(x, x) {transposeB: true}',
      'p = softmax(scores)',
      'kept = mul(p, mask f32[1, 1, 3] {1, 1, 0})',
      'flat = reshape(kept) {shape: [3, 3]}',
      'tokens = reshape(x) {shape: [3, 2]}',
      'context = matmul(flat, tokens)',
      'sum = add(context, tokens)',
    ];
    expect(endsOf('sum', ...nodes)).toEqual([['p', 'sum']]);
  });
});

describe('a graph is refused', () => {
  const refusal = (message: string) => expect.objectContaining({ code: 'UNSUPPORTED', message });

  test('whose softmax is of answers', () => {
    expect(() => endsOf('y', 'sum = add(x, x)', 'y = softmax(sum)')).toThrow(
      refusal('m: has no attention: no softmax that a matmul reads'),
    );
  });

  test('whose attention no layer ends behind, or whose attentions are not in a chain', () => {
    expect(() => endsOf('a.context', ...layer('a', 'x'))).toThrow(
      refusal('m: a.p: no layer ends behind this attention'),
    );
    const beside = [...layer('a', 'x', 'a.sum = add(a.context, x)'), ...layer('b', 'x', 'b.sum = add(b.context, x)')];
    expect(() => endsOf('all', ...beside, 'all = concat(a.sum, b.sum)')).toThrow(
      refusal('m: a.p: no layer ends behind this attention'),
    );
  });

  test('whose last layer is computed for the first token only, where all are needed', () => {
    const nodes = [
      'first = slice(x) {axis: 1, end: 1}',
      'scores = matmul(first, x) {transposeB: true}',
      'p = softmax(scores)',
      'context = matmul(p, x)',
      'sum = add(context, first)',
    ];
    expect(endsOf('sum', ...nodes)).toEqual([['p', 'sum']]);
    expect(() => wholeEncoderLayers(graph('sum', ...nodes), 'm')).toThrow(
      refusal('m: p: its layer is computed for the first token only'),
    );
    expect(wholeEncoderLayers(graph('a.sum', ...layer('a', 'x', 'a.sum = add(a.context, x)')), 'm')).toHaveLength(1);
  });
});
