import { MbertError } from '../../errors.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import type { JsonValue } from '../../formats/json.ts';
import { sameShape } from '../../ir/shape.ts';
import { type Tensor, tensorOf } from '../../ir/tensor.ts';
import type { TrainedArray } from '../training/trained.ts';
import { storedNameOf } from '../write/stored-name.ts';

const HINT = 'write a .onnx or .tflite file in place of a folder';

/**
 * Finds the weights of a checkpoint that a graph's constants are made of, by name. Throws UNSUPPORTED where a weight is
 * stored in another form, or read in several places, which training would pull apart.
 */
export function storedNames(
  { path, tensors, origin, moduleChain }: Checkpoint,
  arrays: readonly TrainedArray[],
): ReadonlyMap<string, string> {
  const refuse = (problem: string): never => {
    throw new MbertError('UNSUPPORTED', `${path}: ${problem}`, { hint: HINT });
  };
  if (origin !== 'torch') refuse('its weights are not named as PyTorch names them, so that no folder can be written');
  if (moduleChain !== undefined) refuse('is a sentence-transformers folder, whose modules a plain one would lose');
  const names = new Map<string, string>();
  for (const { name, shape } of arrays) {
    const stored = storedNameOf(name, tensors);
    const tensor = stored === undefined ? undefined : tensors.get(stored);
    if (stored === undefined || tensor === undefined) return refuse(absenceOf(name, tensors));
    if (!sameShape(tensor.shape, shape)) refuse(`${stored}: is stored in another shape than it is computed with`);
    if ([...names.values()].includes(stored))
      refuse(`${stored}: is read in several places, which training would change apart`);
    names.set(name, stored);
  }
  return names;
}

/** Why a checkpoint has no weight of a name: ModernBERT's norms and linears have no bias, so its code reads none. */
function absenceOf(name: string, tensors: Checkpoint['tensors']): string {
  const owner = name.endsWith('.bias') ? name.slice(0, -'.bias'.length) : undefined;
  if (owner === undefined || storedNameOf(`${owner}.weight`, tensors) === undefined)
    return `has no weight ${name}, which is computed of others`;
  return `${owner} has no bias here, and training gives it one, for which a folder has no place`;
}

/** The checkpoint with its trained weights, as floats of 32 bits. */
export function withTrained(
  checkpoint: Checkpoint,
  names: ReadonlyMap<string, string>,
  arrays: ReadonlyMap<string, TrainedArray>,
): Checkpoint {
  const tensors = new Map<string, Tensor>(checkpoint.tensors);
  for (const { name, shape, values } of arrays.values()) {
    tensors.set(names.get(name) as string, tensorOf('f32', shape, values));
  }
  const config = new Map<string, JsonValue>(checkpoint.config);
  for (const key of ['dtype', 'torch_dtype']) if (config.has(key)) config.set(key, 'float32');
  return { ...checkpoint, tensors, config };
}
