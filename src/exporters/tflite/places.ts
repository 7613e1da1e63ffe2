import { MbertError } from '../../errors.ts';
import type { Call, Constant, Node } from '../../ir/graph.ts';
import { type Dim, sizeOf } from '../../ir/shape.ts';
import { integerTensor, readIntegers } from '../../ir/tensor.ts';
import type { TfliteBuilder } from './builder.ts';
import { inputOf, operand } from './operands.ts';
import { elementFromEnd } from './slices.ts';

/** True for constant indices of which some count from the end, which TFLite's look-ups take for faults. */
export function isNegative(indices: Node): indices is Constant {
  return indices.op === 'constant' && readIntegers(indices.tensor).some((index) => index < 0);
}

/**
 * Lowers a look-up along any axis to GATHER. Indices from the end become ones from the front where the size is known;
 * where it is not, one such index is a slice that counts from the end.
 */
export function lowerPlaces(node: Call<'gather'>, axis: number, out: TfliteBuilder): number {
  const indices = inputOf(node, 1);
  const table = operand(node, 0, out);
  const options = { kind: 'GatherOptions', value: { axis } } as const;
  if (!isNegative(indices)) return out.op('GATHER', [table, out.value(indices)], node, options);
  const { name, tensor } = indices;
  const size = inputOf(node, 0).type.shape[axis] as Dim;
  const numbers = readIntegers(tensor);
  if (typeof size === 'number') {
    const places = numbers.map((index) => (index < 0 ? index + size : index));
    const constant = out.constant(`${name}/from_front`, integerTensor('i32', places, tensor.shape));
    return out.op('GATHER', [table, constant], node, options);
  }
  if (sizeOf(tensor.shape) === 1) return elementFromEnd(node, table, { axis, index: numbers[0] as number }, out);
  throw new MbertError('UNSUPPORTED', `${node.name}: tflite cannot count ${numbers} from the end of ${size}`, {
    hint: out.wayToFixSizes('give --sequence-length a number'),
  });
}
