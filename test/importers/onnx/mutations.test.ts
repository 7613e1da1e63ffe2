import { expect, test } from 'vitest';
import { MbertError } from '../../../src/errors.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { integerTensor, tensorOf } from '../../../src/ir/tensor.ts';
import { verifyGraph } from '../../../src/ir/verify-graph.ts';
import { raise } from '../../../src/passes/raise/raise.ts';
import { randomTensor } from '../../core.ts';
import { fc } from '../../fast-check.ts';
import { damage, EDITS, RUNS } from '../../formats/damage.ts';
import { encodeModel, importBytes, type ModelSpec, modelProto, nodeProto } from './model.ts';

const ints = (...values: number[]) => integerTensor('i64', values);
const floats = (...shape: number[]) => randomTensor({ dtype: 'f32', shape }, 1);
const scale = tensorOf('f32', [], Float32Array.of(0.02));

/** One of everything that reading is not straight forward for, in few bytes: most edits hit something that counts. */
const EVERYTHING: ModelSpec = {
  opset: 17,
  inputs: { ids: { dtype: 'i64', shape: ['batch', 'sequence'] } },
  constants: {
    table: floats(5, 4),
    weight: floats(4, 4),
    positions: integerTensor('i64', [0, 1, 2, 3, 4, 5], [1, 6]),
    zero: integerTensor('i64', [0], []),
    one: integerTensor('i64', [1], []),
    ones: ints(1),
    zeros: ints(0),
    last: ints(-1),
    end: ints(2 ** 31 - 1),
    after: ints(0, 0, 0, 0, 1, 0),
    heads: ints(2, 2),
    scale,
    low: tensorOf('f32', [], Float32Array.of(-10000)),
    none: tensorOf('f32', [], Float32Array.of(0)),
  },
  nodes: [
    { op: 'Shape', inputs: ['ids'], outputs: ['shape'] },
    { op: 'Gather', inputs: ['shape', 'one'], outputs: ['length'] },
    { op: 'Unsqueeze', inputs: ['length', 'zeros'], outputs: ['lengths'] },
    { op: 'Slice', inputs: ['positions', 'zeros', 'lengths', 'ones'], outputs: ['places'] },
    { op: 'Gather', inputs: ['table', 'places'], outputs: ['where'] },
    { op: 'Gather', inputs: ['table', 'ids'], outputs: ['words'] },
    { op: 'Add', inputs: ['words', 'where'], outputs: ['sum'] },
    { op: 'Slice', inputs: ['sum', 'ones', 'end', 'ones'], outputs: ['cut'] },
    { op: 'Pad', inputs: ['cut', 'after'], outputs: ['next'] },
    { op: 'QuantizeLinear', inputs: ['next', 'scale'], outputs: ['stored'] },
    { op: 'DequantizeLinear', inputs: ['stored', 'scale'], outputs: ['read'] },
    { op: 'MatMul', inputs: ['read', 'weight'], outputs: ['linear'] },
    { op: 'Concat', inputs: ['shape', 'heads'], outputs: ['split'], attributes: { axis: { i: 0 } } },
    { op: 'Reshape', inputs: ['linear', 'split'], outputs: ['apart'] },
    { op: 'Transpose', inputs: ['apart'], outputs: ['turned'], attributes: { perm: { ints: [0, 2, 3, 1] } } },
    { op: 'Transpose', inputs: ['apart'], outputs: ['queries'], attributes: { perm: { ints: [0, 2, 1, 3] } } },
    { op: 'MatMul', inputs: ['queries', 'turned'], outputs: ['scores'] },
    { op: 'Range', inputs: ['zero', 'length', 'one'], outputs: ['counted'] },
    { op: 'GreaterOrEqual', inputs: ['counted', 'zero'], outputs: ['always'] },
    { op: 'Cast', inputs: ['ids'], outputs: ['mask'], attributes: { to: { i: 9 } } },
    { op: 'And', inputs: ['always', 'mask'], outputs: ['both'] },
    { op: 'Where', inputs: ['both', 'none', 'low'], outputs: ['least'] },
    { op: 'Unsqueeze', inputs: ['least', 'heads1'], outputs: ['bias'] },
    { op: 'Add', inputs: ['scores', 'bias'], outputs: ['masked'] },
    { op: 'test::Soft', inputs: ['masked'], outputs: ['y'], attributes: { over: { i: -1 } } },
  ],
  outputs: ['y'],
  functions: [
    {
      name: 'Soft',
      domain: 'test',
      input: ['a'],
      output: ['b'],
      attribute: ['over'],
      opsetImport: [{ domain: '', version: 17 }],
      node: [
        {
          ...nodeProto({ op: 'Softmax', inputs: ['a'], outputs: ['b'] }),
          attribute: [{ name: 'axis', refAttrName: 'over', type: 2 }],
        },
      ],
    },
  ],
};

const GOOD = encodeModel(modelProto({ ...EVERYTHING, constants: { ...EVERYTHING.constants, heads1: ints(1, 2) } }));

/** The graph, if the bytes are one; nothing but an MbertError may come of others. */
function read(bytes: Uint8Array): Graph | null {
  try {
    return importBytes(bytes);
  } catch (error) {
    if (error instanceof MbertError) return null;
    throw error;
  }
}

test('the good model is all known', () => {
  const graph = importBytes(GOOD);
  expect(graph.nodes().filter(({ op }) => op === 'foreign')).toEqual([]);
  expect(graph.nodes().map(({ op }) => op)).toContain('shift');
});

test('damaged models are refused or make a valid graph that can be raised', async () => {
  await fc.assert(
    fc.asyncProperty(EDITS, async (edits) => {
      const graph = read(damage(GOOD, edits));
      if (graph === null) return;
      verifyGraph(graph, 'import');
      try {
        await raise(graph);
      } catch (error) {
        if (!(error instanceof MbertError)) throw error;
      }
    }),
    { numRuns: RUNS },
  );
}, 600_000);
