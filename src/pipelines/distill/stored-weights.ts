import { MbertError } from '../../errors.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import type { JsonValue } from '../../formats/json.ts';
import type { Graph } from '../../ir/graph.ts';
import { nodesByName } from '../../ir/nodes-by-name.ts';
import { isPickedRows } from '../../ir/picked-tensors.ts';
import { sameShape, sizeOf } from '../../ir/shape.ts';
import { readF32, type Tensor, tensorOf } from '../../ir/tensor.ts';
import type { TrainedArray } from '../training/trained.ts';
import { storedNameOf } from '../write/stored-name.ts';

const HINT = 'write a .onnx or .tflite file in place of a folder';

/** A trained array's place in a checkpoint: a stored tensor, or some rows of one. */
export interface StoredPlace {
  readonly name: string;
  /** Rows of the stored matrix that the array is; undefined for all of it. */
  readonly rows: readonly number[] | undefined;
}

/**
 * Finds the weights of a checkpoint that a graph's constants are made of, by name: each is a constant, or has it in some
 * of its rows, as queries lie in ModernBERT's Wqkv. Throws UNSUPPORTED where a weight is stored in another form, or read
 * in several places, which training would pull apart.
 */
export function storedPlaces(
  { path, tensors, origin, moduleChain }: Checkpoint,
  graph: Graph,
  arrays: readonly TrainedArray[],
): ReadonlyMap<string, StoredPlace> {
  const refuse = (problem: string): never => {
    throw new MbertError('UNSUPPORTED', `${path}: ${problem}`, { hint: HINT });
  };
  if (origin !== 'torch') refuse('its weights are not named as PyTorch names them, so that no folder can be written');
  if (moduleChain !== undefined) refuse('is a sentence-transformers folder, whose modules a plain one would lose');
  const nodes = nodesByName(graph);
  const places = new Map<string, StoredPlace>();
  const taken = new Set<string>();
  for (const { name, shape } of arrays) {
    const node = nodes.get(name);
    const rows = node?.op === 'constant' && isPickedRows(node.tensor) ? node.tensor.rows : undefined;
    const stored = storedNameOf(rows ? withoutPart(name) : name, tensors);
    const tensor = stored === undefined ? undefined : tensors.get(stored);
    if (stored === undefined || tensor === undefined)
      return refuse(`has no weight ${name}, which is computed of others`);
    if (!sameShape(rows ? [rows.length, ...tensor.shape.slice(1)] : tensor.shape, shape))
      refuse(`${stored}: is stored in another shape than it is computed with`);
    for (const key of rows?.map((row) => `${stored} ${row}`) ?? [stored]) {
      if (taken.has(key)) refuse(`${stored}: is read in several places, which training would change apart`);
      taken.add(key);
    }
    places.set(name, { name: stored, rows });
  }
  return places;
}

/** `attn.Wqkv.weight` of `attn.Wqkv.query.weight`. */
function withoutPart(name: string): string {
  return name.replace(/\.[^.]+(\.[^.]+)$/, '$1');
}

/**
 * Tells the arrays that a checkpoint has no place for as they add nothing: biases that its config leaves out, which are
 * zeros here (ModernBERT's norms). Where it is written again, they have to stay so.
 */
export function absentBiases({ tensors }: Checkpoint, arrays: readonly TrainedArray[]): readonly string[] {
  const isAbsent = ({ name, values }: TrainedArray) =>
    name.endsWith('.bias') &&
    storedNameOf(name, tensors) === undefined &&
    storedNameOf(`${name.slice(0, -'.bias'.length)}.weight`, tensors) !== undefined &&
    values.every((value) => value === 0);
  return arrays.filter(isAbsent).map(({ name }) => name);
}

/** The checkpoint with its trained weights, as floats of 32 bits. */
export function withTrained(
  checkpoint: Checkpoint,
  places: ReadonlyMap<string, StoredPlace>,
  arrays: ReadonlyMap<string, TrainedArray>,
): Checkpoint {
  const tensors = new Map<string, Tensor>(checkpoint.tensors);
  const joined = new Map<string, Float32Array>();
  for (const { name, shape, values } of arrays.values()) {
    const { name: stored, rows } = places.get(name) as StoredPlace;
    if (rows === undefined) {
      tensors.set(stored, tensorOf('f32', shape, values));
      continue;
    }
    const whole = tensors.get(stored) as Tensor;
    const all = joined.get(stored) ?? readF32(whole).slice();
    const width = sizeOf(shape.slice(1));
    for (const [i, row] of rows.entries()) all.set(values.subarray(i * width, (i + 1) * width), row * width);
    joined.set(stored, all);
    tensors.set(stored, tensorOf('f32', whole.shape, all));
  }
  const config = new Map<string, JsonValue>(checkpoint.config);
  for (const key of ['dtype', 'torch_dtype']) if (config.has(key)) config.set(key, 'float32');
  return { ...checkpoint, tensors, config };
}
