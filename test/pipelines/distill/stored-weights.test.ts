import { expect, test } from 'vitest';
import type { Checkpoint } from '../../../src/formats/checkpoint.ts';
import { Graph } from '../../../src/ir/graph.ts';
import { pickStoredRows } from '../../../src/ir/picked-tensors.ts';
import { readF32, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import { absentBiases, storedPlaces, withTrained } from '../../../src/pipelines/distill/stored-weights.ts';

const FUSED = tensorOf('f32', [3, 2], Float32Array.of(1, 2, 3, 4, 5, 6));

function checkpointOf(tensors: { readonly [name: string]: Tensor }): Checkpoint {
  return {
    ...{ path: 'model.safetensors', origin: 'torch', configPath: 'config.json', config: new Map(), tokenizer: {} },
    ...{ tensors: new Map(Object.entries(tensors)), notes: [], close: () => undefined },
  };
}

/** A graph of rows of one stored matrix. */
function partsOf(parts: { readonly [name: string]: readonly number[] }) {
  const graph = new Graph('g');
  const arrays = Object.entries(parts).map(([name, rows]) => {
    const node = graph.constant(pickStoredRows(FUSED, rows), name);
    graph.output(name, node);
    return { name, shape: [rows.length, 2], values: readF32(node.tensor) };
  });
  return { graph, arrays };
}

test('rows of one matrix are trained apart and written where they lie', () => {
  const checkpoint = checkpointOf({ 'attn.Wqkv.weight': FUSED });
  const { graph, arrays } = partsOf({ 'attn.Wqkv.value.weight': [2], 'attn.Wqkv.query.weight': [0] });
  const places = storedPlaces(checkpoint, graph, arrays);
  const trained = new Map(
    arrays.map((array) => [array.name, { ...array, values: array.values.map((value) => 10 * value) }]),
  );
  const { tensors } = withTrained(checkpoint, places, trained);
  expect([...tensors.keys()]).toEqual(['attn.Wqkv.weight']);
  expect([...readF32(tensors.get('attn.Wqkv.weight') as Tensor)]).toEqual([10, 20, 3, 4, 50, 60]);
  expect([...readF32(FUSED)]).toEqual([1, 2, 3, 4, 5, 6]);
});

test('rows that are read twice are refused', () => {
  const { graph, arrays } = partsOf({ 'attn.Wqkv.value.weight': [1, 2], 'attn.Wqkv.query.weight': [0, 1] });
  expect(() => storedPlaces(checkpointOf({ 'attn.Wqkv.weight': FUSED }), graph, arrays)).toThrow(
    'attn.Wqkv.weight: is read in several places',
  );
});

test('biases that a checkpoint leaves out stay the zeros that they are', () => {
  const zeros = tensorOf('f32', [2], new Float32Array(2));
  const checkpoint = checkpointOf({ 'norm.weight': zeros, 'dense.weight': zeros, 'dense.bias': zeros });
  const array = (name: string, ...values: number[]) => ({ name, shape: [2], values: Float32Array.from(values) });
  const biases = [array('norm.bias', 0, 0), array('dense.bias', 0, 0), array('other.bias', 0, 0)];
  expect(absentBiases(checkpoint, biases)).toEqual(['norm.bias']);
  expect(absentBiases(checkpoint, [array('norm.bias', 0, 1)])).toEqual([]);
});
