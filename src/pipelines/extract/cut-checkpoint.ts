import { MbertError } from '../../errors.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import type { JsonValue } from '../../formats/json.ts';
import { computedTensor, readF32, type Tensor, takeF32 } from '../../ir/tensor.ts';
import { channelsOf, type KeptChannels, pickColumns, pickRows } from '../../passes/prune/cut-group.ts';
import { type Axis, axesOf, layerIn, withLayer } from './axes.ts';
import type { Importance } from './importance.ts';
import type { StudentShape, TeacherShape } from './sizes.ts';

/** Channels and layers of the teacher that the student has. */
export interface Selection {
  /** The teacher's layer behind each of the student's. */
  readonly layers: readonly number[];
  readonly hidden: KeptChannels;
  /** Of each of the teacher's layers. */
  readonly heads: readonly KeptChannels[];
  readonly neurons: readonly KeptChannels[];
}

/** Keeps the channels that are worth most: hidden ones once for all layers, heads as a whole. */
export function selectChannels(
  importance: Importance,
  layers: readonly number[],
  teacher: TeacherShape,
  student: Pick<TeacherShape, 'hidden' | 'heads' | 'intermediate'>,
): Selection {
  const size = teacher.hidden / teacher.heads;
  const heads = importance.heads.map((channels) => {
    const worth = new Float64Array(teacher.heads);
    for (let i = 0; i < channels.length; i++) {
      const head = Math.floor(i / size);
      worth[head] = (worth[head] as number) + (channels[i] as number);
    }
    return channelsOf([...largest(worth, student.heads)], size);
  });
  return {
    layers,
    hidden: largest(importance.hidden, student.hidden),
    heads,
    neurons: importance.neurons.map((worth) => largest(worth, student.intermediate)),
  };
}

/** Indices of the largest values, in ascending order. */
function largest(values: Float64Array, count: number): KeptChannels {
  const order = Array.from(values, (_, i) => i).sort((a, b) => (values[b] as number) - (values[a] as number) || a - b);
  return Int32Array.from(order.slice(0, count)).sort();
}

/** The teacher's channels along an axis of a weight or value of one of its layers; undefined where it has all. */
export function keptAlong(selection: Selection, axis: Axis, layer: number | undefined): KeptChannels | undefined {
  if (axis === 'whole') return undefined;
  return axis === 'hidden' ? selection.hidden : selection[axis][layer as number];
}

/**
 * Cuts a student out of a checkpoint, by names alone. Throws UNSUPPORTED for a weight that it does not know the axes of:
 * left as it is, it would not fit.
 */
export function cutCheckpoint(
  teacher: Checkpoint,
  selection: Selection,
  { unused, shape }: { readonly unused: readonly string[]; readonly shape: StudentShape & { readonly heads: number } },
): Checkpoint {
  const tensors = new Map<string, Tensor>();
  for (const [name, tensor] of teacher.tensors) {
    const layer = layerIn(name);
    if (unused.includes(name)) continue;
    const axes = axesOf(name);
    if (axes?.length !== tensor.shape.length) {
      throw new MbertError('UNSUPPORTED', `${teacher.path}: ${name}: extraction does not know its axes`, {
        hint: '--passes prune cuts heads and neurons of any graph',
      });
    }
    if (layer === undefined) tensors.set(name, cutTensor(tensor, axes, selection, layer));
    for (const [place, source] of selection.layers.entries()) {
      if (source === layer) tensors.set(withLayer(name, place), cutTensor(tensor, axes, selection, layer));
    }
  }
  const config = new Map<string, JsonValue>(teacher.config);
  config.set('num_hidden_layers', shape.layers);
  config.set('hidden_size', shape.hidden);
  config.set('intermediate_size', shape.intermediate);
  config.set('num_attention_heads', shape.heads);
  for (const key of ['dtype', 'torch_dtype']) if (config.has(key)) config.set(key, 'float32');
  return { ...teacher, tensors, config };
}

/** Takes the channels of a selection out of a weight with these axes. */
export function cutTensor(
  tensor: Tensor,
  axes: readonly Axis[],
  selection: Selection,
  layer: number | undefined,
): Tensor {
  const [rows, columns] = axes.map((axis) => keptAlong(selection, axis, layer));
  const shape = tensor.shape.map((size, i) => (i === 0 ? rows : columns)?.length ?? size);
  return computedTensor('f32', shape, () => {
    if (!rows && !columns) return takeF32(tensor);
    const picked = rows ? pickRows(tensor, rows) : tensor;
    return readF32(columns ? pickColumns(picked, columns) : picked);
  });
}
