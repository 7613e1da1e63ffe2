import { MbertError } from '../../errors.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import { jsonText } from '../../formats/json.ts';
import { sizeOf } from '../../ir/shape.ts';
import { computedTensor, type Tensor } from '../../ir/tensor.ts';
import { normalNumbers, randomNumbers } from '../../solve/random-numbers.ts';

/** The deviation of new weights where a config says none: transformers' default. */
const INITIALIZER_RANGE = 0.02;

/**
 * Draws a student's weights anew, as transformers does for a model that is trained from scratch: weights and tables are
 * normal with the config's `initializer_range`, biases are 0, gains of norms 1. One seed, one student.
 */
export function initialized(student: Checkpoint, seed: number): Checkpoint {
  const deviation = student.config.get('initializer_range') ?? INITIALIZER_RANGE;
  if (typeof deviation !== 'number' || !(deviation > 0)) {
    throw new MbertError(
      'MALFORMED',
      `${student.configPath}: initializer_range: is ${jsonText(deviation)}, not a positive number`,
    );
  }
  const seeds = randomNumbers(seed);
  const tensors = new Map<string, Tensor>();
  for (const [name, { shape }] of student.tensors) {
    // Each tensor has a seed of its own, as tensors are computed whenever they are read.
    const own = Math.floor(seeds() * 2 ** 32);
    tensors.set(
      name,
      computedTensor('f32', shape, () => drawn(name, sizeOf(shape), { deviation, seed: own })),
    );
  }
  return { ...student, tensors };
}

function drawn(name: string, size: number, { deviation, seed }: { deviation: number; seed: number }): Float32Array {
  const values = new Float32Array(size);
  if (name.endsWith('.bias')) return values;
  if (name.endsWith('LayerNorm.weight')) return values.fill(1);
  const normal = normalNumbers(seed);
  for (let i = 0; i < size; i++) values[i] = deviation * normal();
  return values;
}
