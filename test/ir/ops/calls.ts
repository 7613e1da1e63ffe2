import { expect } from 'vitest';
import { evaluate } from '../../../src/ir/evaluate.ts';
import { readF32, type Tensor, type TensorType } from '../../../src/ir/tensor.ts';
import { typeText } from '../../../src/ir/text.ts';
import { graphOf } from '../../core.ts';

/** A call of constants, `add(a f32[2] {1, 2}, a)`, the type of its value and the numbers in it. */
export type Value = readonly [call: string, type: string, numbers: readonly number[]];

/** A call that is refused, and what is said. */
export type Refusal = readonly [call: string, message: string];

/** Computes a call of constants by the op's reference. */
export function computed(call: string): Tensor {
  return evaluate(graphOf(`graph g () y = ${call} return y: y`), new Map()).get('y') as Tensor;
}

export function expectValue(call: string, type: string, numbers: readonly number[]): void {
  const value = computed(call);
  const found = readF32(value);
  expect(typeText(value)).toBe(type);
  expect(found.length).toBe(numbers.length);
  for (const [i, number] of numbers.entries())
    expect(found[i], `element ${i} of ${found.join(', ')}`).toBeCloseTo(number, 6);
}

/** The type that an op's shape rule gives a call of inputs, `x: f32[batch, 2]`. */
export function typeOf(inputs: string, call: string): string {
  return typeText(graphOf(`graph g (${inputs}) y = ${call} return y: y`).outputs[0]?.node.type as TensorType);
}
