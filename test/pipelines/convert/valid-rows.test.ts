import { describe, expect, test } from 'vitest';
import { integerTensor, tensorOf } from '../../../src/ir/tensor.ts';
import { allRows, tokenOutputs, validRows } from '../../../src/pipelines/convert/valid-rows.ts';
import { graphOf } from '../../core.ts';

const MASK = integerTensor('i64', [1, 1, 0, 1, 0, 0], [2, 3]);
const numbers = (shape: readonly number[]) =>
  tensorOf(
    'f32',
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i),
  );

describe('rows that are compared', () => {
  test('are those of valid tokens', () => {
    expect(validRows(numbers([2, 3, 2]), MASK)).toEqual([
      { values: Float32Array.of(0, 1, 2, 3), width: 2 },
      { values: Float32Array.of(6, 7), width: 2 },
    ]);
  });

  test('are one for each sequence where each token has one number', () => {
    expect(validRows(numbers([2, 3]), MASK)).toEqual([
      { values: Float32Array.of(0, 1), width: 2 },
      { values: Float32Array.of(3), width: 1 },
    ]);
  });

  test('are all of an output without tokens', () => {
    expect(allRows(numbers([2, 3]))).toEqual([{ values: Float32Array.of(0, 1, 2, 3, 4, 5), width: 3 }]);
    expect(allRows(numbers([2]))).toEqual([{ values: Float32Array.of(0, 1), width: 1 }]);
  });
});

describe('outputs of tokens', () => {
  const names = (input: string, outputs: string) => [
    ...tokenOutputs(
      graphOf(
        `graph g (input_ids: i64[${input}], ${outputs}) return ${outputs.replace(/(\w+): \w+\[[^\]]*\]/g, '$1: $1')}`,
      ),
    ),
  ];

  test('have the axis of the sequence behind that of the batch', () => {
    expect(names('batch, sequence', 'a: f32[batch, sequence, 4], b: f32[batch, sequence], c: f32[batch, 4]')).toEqual([
      'a',
      'b',
    ]);
  });

  test('of fixed length are told by their rank or name, as classes may be as many as tokens', () => {
    expect(names('1, 8', 'a: f32[1, 8, 4], b: f32[1, 8], start_logits: f32[1, 8], c: f32[1, 4, 8]')).toEqual([
      'a',
      'start_logits',
    ]);
  });
});
