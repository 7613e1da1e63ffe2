import { describe, expect, test } from 'vitest';
import type { Call } from '../../src/ir/graph.ts';
import { isAlongChannels, isParameter, isTokenWise } from '../../src/ir/token-wise.ts';
import { graphOf } from '../core.ts';

/** The last op of a line over x [batch, sequence, 4] and z of the same shape. */
function callOf(line: string): Call {
  const graph = graphOf(`graph g (x: f32[batch, sequence, 4], z: f32[batch, sequence, 4], f: f32[1, 3, 4], i: i32[2])
  y = ${line}
return y: y`);
  return graph.outputs[0]?.node as Call;
}

describe('every token by itself', () => {
  test.each([
    'linear(x, w f32[4, 4] #1)',
    'noNorm(x, g f32[4] #1, b f32[4] #2)',
    'layerNorm(x, g f32[4] #1, b f32[4] #2)',
    'add(x, z)',
    'gelu(x)',
    'cast(x) {to: f32}',
  ])('%s', (line) => {
    expect([isTokenWise(callOf(line)), isAlongChannels(callOf(line))]).toEqual([true, false]);
  });

  test.each([
    'softmax(x)',
    'softmax(x) {axis: 2}',
    'slice(x) {axis: 2, end: 2}',
    'slice(x) {axis: -1, end: 2}',
    'concat(x, z) {axis: -1}',
  ])('%s, along its channels', (line) => {
    expect([isTokenWise(callOf(line)), isAlongChannels(callOf(line))]).toEqual([true, true]);
  });
});

test.each([
  'softmax(x) {axis: 1}',
  'slice(x) {axis: 1, end: sequence}',
  'concat(f, f) {axis: 1}',
  'matmul(x, z) {transposeB: true}',
  'shift(x) {offset: 1}',
  'transpose(x) {permutation: [1, 0, 2]}',
  'reshape(x) {shape: [batch*sequence, 4]}',
  'gather(x, i) {axis: 1}',
  'mean(x) {axis: 1}',
  'conv1d(x, w f32[4, 3, 4] #1)',
])('tokens meet in %s', (line) => {
  expect(isTokenWise(callOf(line))).toBe(false);
});

test('parameters are what linears and norms read behind their tokens', () => {
  const placesOf = (line: string) => {
    const call = callOf(line);
    return call.inputs.map((_, i) => isParameter(call, i));
  };
  expect(placesOf('linear(x, w f32[4, 4] #1, b f32[4] #2)')).toEqual([false, true, true]);
  expect(placesOf('noNorm(x, g f32[4] #1, b f32[4] #2)')).toEqual([false, true, true]);
  expect(placesOf('add(x, z)')).toEqual([false, false]);
});
