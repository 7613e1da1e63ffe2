import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { MbertError } from '../../../src/errors.ts';
import type { Model } from '../../../src/formats/tflite/generated/model.ts';
import type { Draft } from '../../../src/formats/tflite/table.ts';
import { decodeModel, encodeModel, FIXTURE, importBytes } from './models.ts';

const GOOD = new Uint8Array(readFileSync(FIXTURE));

/** Four bytes of the file in another way, as a u32. */
function patched(at: number, value: number): Uint8Array {
  const bytes = GOOD.slice();
  new DataView(bytes.buffer).setUint32(at, value, true);
  return bytes;
}

/** Where the reference to a field of the model's root table lies. */
function fieldOfModel(slot: number): number {
  const view = new DataView(GOOD.buffer, GOOD.byteOffset);
  const root = view.getUint32(0, true);
  const vtable = root - view.getInt32(root, true);
  return root + view.getUint16(vtable + 4 + 2 * slot, true);
}

const SUBGRAPHS = 2;
const BUFFERS = 4;

/** The model with changes, written again. */
function changed(change: (model: Model) => object): Uint8Array {
  const model = decodeModel();
  return encodeModel({ ...model, ...change(model) } as Draft<Model>);
}

/** The first subgraph's tensors with changes to some. */
function withTensors(
  change: (tensor: NonNullable<NonNullable<Model['subgraphs']>[0]['tensors']>[0], index: number) => object,
): Uint8Array {
  return changed(({ subgraphs }) => ({
    subgraphs: subgraphs?.map((subgraph) => ({
      ...subgraph,
      tensors: subgraph.tensors?.map((tensor, i) => ({ ...tensor, ...change(tensor, i) })),
    })),
  }));
}

function withOperator(change: object): Uint8Array {
  return changed(({ subgraphs }) => ({
    subgraphs: subgraphs?.map((subgraph) => ({
      ...subgraph,
      operators: subgraph.operators?.map((operator, i) => (i === 9 ? { ...operator, ...change } : operator)),
    })),
  }));
}

const isWeight = ({ shape }: { shape: readonly number[] | undefined }) => shape?.length === 2 && shape[0] === 16;

const rows: readonly {
  readonly what: string;
  readonly bytes: Uint8Array;
  readonly code?: string;
  readonly problem: string;
}[] = [
  { what: 'an empty file', bytes: new Uint8Array(0), problem: 'model.tflite: header: has no identifier TFL3' },
  { what: 'another identifier', bytes: patched(4, 0x304c4654), problem: 'has no identifier TFL3' },
  { what: 'a root beyond the end', bytes: patched(0, 0xfffffff0), problem: 'lie outside' },
  {
    what: 'subgraphs beyond the end',
    bytes: patched(fieldOfModel(SUBGRAPHS), 0x7fffffff),
    problem: 'Model.subgraphs: bytes',
  },
  {
    what: 'four billion buffers',
    bytes: (() => {
      const at = fieldOfModel(BUFFERS);
      return patched(at + new DataView(GOOD.buffer, GOOD.byteOffset).getUint32(at, true), 0xffffffff);
    })(),
    problem: 'Model.buffers: bytes',
  },
  { what: 'another version', bytes: changed(() => ({ version: 2 })), problem: 'model.tflite: is of version 2, not 3' },
  { what: 'no subgraph', bytes: changed(() => ({ subgraphs: [] })), problem: 'has no subgraph' },
  {
    what: 'no operator codes',
    bytes: changed(() => ({ operatorCodes: [] })),
    problem: 'operator 0: has no operator code 0',
  },
  {
    what: 'a tensor that is not there',
    bytes: withOperator({ inputs: [9999, 1, 2] }),
    problem: 'there is no tensor 9999',
  },
  {
    what: 'a tensor that nothing has computed',
    bytes: withOperator({ inputs: [0, 211] }),
    problem: 'before anything computes it',
  },
  {
    what: 'a buffer that is not there',
    bytes: withTensors((tensor) => (isWeight(tensor) ? { buffer: 9999 } : {})),
    problem: 'there is no buffer 9999',
  },
  {
    what: 'a buffer of another size',
    bytes: changed(({ buffers }) => ({
      buffers: buffers?.map(({ data }) => (data?.byteLength === 1024 ? { data: data.subarray(4) } : { data })),
    })),
    problem: 'takes 1024 bytes, its buffer has 1020',
  },
  {
    what: 'a negative size',
    bytes: withTensors((tensor) => (isWeight(tensor) ? { shape: [-16, 16] } : {})),
    problem: 'shape [-16,16] is out of range',
  },
  {
    what: 'shapes that do not fit',
    bytes: withTensors((_, i) => (i === 0 ? { shape: [1, 15] } : {})),
    problem: 'model.tflite: ',
  },
  {
    what: 'texts',
    code: 'UNSUPPORTED',
    bytes: withTensors((_, i) => (i === 0 ? { type: 'STRING' } : {})),
    problem: 'attention_mask:0: is of type STRING',
  },
  {
    what: 'a variable',
    code: 'UNSUPPORTED',
    bytes: withTensors((tensor) => (isWeight(tensor) ? { isVariable: true } : {})),
    problem: 'is a variable',
  },
  {
    what: 'sparse weights',
    code: 'UNSUPPORTED',
    bytes: withTensors((tensor) => (isWeight(tensor) ? { sparsity: {} } : {})),
    problem: 'is stored sparse',
  },
  {
    what: 'scales of another number',
    bytes: withTensors((tensor) =>
      isWeight(tensor)
        ? { type: 'INT32', quantization: { scale: Float32Array.of(1, 2, 3), zeroPoint: [0, 0, 0] } }
        : {},
    ),
    problem: '3 scales do not go with axis 0 of [16',
  },
  {
    what: 'a scale that is no number',
    bytes: withTensors((tensor) =>
      isWeight(tensor) ? { type: 'INT32', quantization: { scale: Float32Array.of(Number.NaN), zeroPoint: [0] } } : {},
    ),
    problem: 'a scale or zero point is out of range',
  },
];

describe('refuses', () => {
  test.each(rows)('$what', async ({ bytes, code = 'MALFORMED', problem }) => {
    const error = await importBytes(bytes).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    expect(error).toBeInstanceOf(MbertError);
    expect([(error as MbertError).code, (error as MbertError).message]).toEqual([
      code,
      expect.stringContaining(problem),
    ]);
    expect((error as MbertError).message.startsWith('model.tflite: ')).toBe(true);
  });

  test.each(Array.from({ length: 16 }, (_, i) => i))('the first %i sixteenths of the file', async (sixteenths) => {
    const bytes = GOOD.subarray(0, Math.floor((GOOD.byteLength * sixteenths) / 16));
    await expect(importBytes(bytes)).rejects.toMatchObject({ name: 'MbertError', code: 'MALFORMED' });
  });
});

test('the sound twin is read', async () => {
  expect((await importBytes(encodeModel(decodeModel() as Draft<Model>))).graph.outputs.length).toBe(2);
});
