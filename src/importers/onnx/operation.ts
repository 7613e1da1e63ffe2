import type { OnnxFileNode } from '../../formats/onnx-decode.ts';
import { axisOf } from '../../ir/shape.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { type GraphImport, notExpressible } from './context.ts';
import { numberOf, type Size } from './sizes.ts';
import { asList, shapeOf, type Value } from './values.ts';

/** One ONNX node with what its inputs are. */
export interface Operation {
  readonly node: OnnxFileNode;
  /** Version of the operator set that the node is of. */
  readonly opset: number;
  /** Values that the node reads, undefined where an input is left out. */
  readonly inputs: readonly (Value | undefined)[];
  readonly to: GraphImport;
  /** Name of the first output; further nodes are named after it. */
  readonly name: string;
}

/**
 * Reads a node to the values of its outputs, in order, undefined for one that mbert does not compute. Throws
 * NotExpressible where the IR has no form.
 */
export type OperatorReader = (operation: Operation) => Value | readonly (Value | undefined)[];

/** Value of an input that the operator cannot do without. */
export function inputOf({ inputs, node }: Operation, i: number): Value {
  return inputs[i] ?? notExpressible(`${node.op} without its input ${i}`);
}

export function intOf<D extends number | undefined>({ node }: Operation, name: string, absent: D): number | D {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'int' ? attribute.value : absent;
}

export function floatOf({ node }: Operation, name: string, absent: number): number {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'float' ? attribute.value : absent;
}

export function textOf({ node }: Operation, name: string, absent: string): string {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'text' ? attribute.value : absent;
}

export function intsOf({ node }: Operation, name: string): readonly number[] | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'ints' ? attribute.value : undefined;
}

export function tensorOfAttribute({ node }: Operation, name: string): Tensor | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'tensor' ? attribute.value : undefined;
}

/** Numbers that an attribute held in early operator sets and an input holds since; undefined where both are absent. */
export function numbersOf(operation: Operation, attribute: string, input: number): readonly number[] | undefined {
  const value = operation.inputs[input];
  return value === undefined ? intsOf(operation, attribute) : knownNumbers(value);
}

/** The whole numbers of a value that no symbol has a part in. */
export function knownNumbers(value: Value): readonly number[] {
  return knownSizes(value).map((size) => numberOf(size) ?? notExpressible('a number that depends on the inputs'));
}

/** The whole numbers of a value that is known before the run. */
export function knownSizes(value: Value): readonly Size[] {
  return asList(value)?.elements ?? notExpressible('shape arithmetic on values of the run');
}

export function knownShape(value: Value): readonly Size[] {
  return shapeOf(value) ?? notExpressible('an input of unknown shape');
}

/** An axis counted from the front: -1 is the last one. */
export function knownAxis(axis: number, rank: number): number {
  return axisOf(axis, rank) ?? notExpressible(`axis ${axis} of ${rank}`);
}
