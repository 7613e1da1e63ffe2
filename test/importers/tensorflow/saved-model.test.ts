import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MbertError } from '../../../src/errors.ts';
import { graphdef } from '../../../src/importers/graphdef.ts';
import type { GraphSource } from '../../../src/importers/importer.ts';
import { savedModel } from '../../../src/importers/saved-model.ts';
import type { ModelFile } from '../../../src/io/files.ts';
import { graphText } from '../../../src/ir/text.ts';
import { memoryFile } from '../../formats/memory-file.ts';
import { message, type ProtoField } from '../../formats/protobuf-writer.ts';
import { modelPath, openGraph } from './cases.ts';

test('names, order and types are those of serving_default', async () => {
  const { graph } = await openGraph(modelPath('savedmodel-qa-hf'));
  expect(graph.inputs.map(({ name, type }) => [name, type.dtype, type.shape])).toEqual([
    ['attention_mask', 'i32', ['batch', 'sequence']],
    ['input_ids', 'i32', ['batch', 'sequence']],
    ['token_type_ids', 'i32', ['batch', 'sequence']],
  ]);
  expect(graph.outputs.map(({ name }) => name)).toEqual(['end_logits', 'start_logits']);
});

test('weights keep the names of their variables', async () => {
  const { graph } = await openGraph(modelPath('savedmodel-tf1-seqcls'));
  const names = graph.nodes().flatMap(({ op, name }) => (op === 'constant' ? [name] : []));
  expect(names).toContain('bert/encoder/layer_0/attention/self/query/kernel');
});

async function read(importer: { read(file: ModelFile): Promise<unknown> }, bytes: Uint8Array): Promise<GraphSource> {
  return (await importer.read(memoryFile('model.pb', bytes))) as GraphSource;
}

/** tensorflow.AttrValue */
const attribute = (name: string, ...value: ProtoField[]): ProtoField => [5, message([1, name], [2, message(...value)])];
const dims = (...sizes: readonly number[]) => message(...sizes.map((size): ProtoField => [2, message([1, size])]));
const nodeDef = (name: string, op: string, inputs: readonly string[], ...attributes: readonly ProtoField[]) =>
  message([1, name], [2, op], ...inputs.map((input): ProtoField => [3, input]), ...attributes);
const placeholder = (name: string, ...sizes: readonly number[]) =>
  nodeDef(name, 'Placeholder', [], attribute('dtype', [6, 1]), attribute('shape', [7, dims(...sizes)]));
const constant = (name: string, ...tensor: readonly ProtoField[]) =>
  nodeDef(name, 'Const', [], attribute('value', [8, message(...tensor)]));
const graphDef = (...nodes: readonly Uint8Array[]) => message(...nodes.map((node): ProtoField => [1, node]));

/** x + c with the constant's TensorProto. */
const sum = (...tensor: readonly ProtoField[]) =>
  graphDef(placeholder('x', 2), constant('c', ...tensor), nodeDef('y', 'AddV2', ['x', 'c']));

describe('constants of a GraphDef', () => {
  const rows: readonly { readonly what: string; readonly tensor: readonly ProtoField[]; readonly text: string }[] = [
    {
      what: 'as bytes',
      tensor: [
        [1, 1],
        [2, dims(2)],
        [4, new Uint8Array(Float32Array.of(1, 2).buffer)],
      ],
      text: 'f32[2] {1, 2}',
    },
    {
      what: 'as a list',
      tensor: [
        [1, 1],
        [2, dims(2)],
        [5, new Uint8Array(Float32Array.of(1, 2).buffer)],
      ],
      text: 'f32[2] {1, 2}',
    },
    {
      what: 'as one value for all',
      tensor: [
        [1, 1],
        [2, dims(2)],
        [5, { f32: 3 }],
      ],
      text: 'f32[2] {3, 3}',
    },
    {
      what: 'as none, which is 0',
      tensor: [
        [1, 1],
        [2, dims(2)],
      ],
      text: 'f32[2] {0, 0}',
    },
    {
      what: 'of half precision',
      tensor: [
        [1, 19],
        [2, dims(1)],
        [13, { packed: [0x3c00] }],
      ],
      text: 'f16[1] {1}',
    },
  ];

  test.each(rows)('$what', async ({ tensor, text }) => {
    const { graph } = await read(graphdef, sum(...tensor));
    expect(graphText(graph).split('\n')[1]).toBe(`  y = add(x, c ${text})  f32[2]`);
  });

  const bad: readonly { readonly what: string; readonly tensor: readonly ProtoField[]; readonly problem: string }[] = [
    {
      what: 'too few bytes',
      tensor: [
        [1, 1],
        [2, dims(2)],
        [4, new Uint8Array(7)],
      ],
      problem: 'f32[2] takes 8 bytes, 7 are there',
    },
    {
      what: 'too many values',
      tensor: [
        [1, 1],
        [2, dims(1)],
        [5, new Uint8Array(8)],
      ],
      problem: '2 values do not fit f32[1]',
    },
    {
      what: 'a negative size',
      tensor: [
        [1, 1],
        [2, dims(-5)],
      ],
      problem: 'shape [-5] has a negative size',
    },
    {
      what: 'an open size',
      tensor: [
        [1, 1],
        [2, dims(-1)],
      ],
      problem: 'shape [-1] is out of range',
    },
    {
      what: 'more than 32 axes',
      tensor: [
        [1, 1],
        [2, dims(...new Array<number>(33).fill(1))],
      ],
      problem: `shape [${new Array<number>(32).fill(1)}] is out of range`,
    },
    {
      what: 'sizes beyond all memory',
      tensor: [
        [1, 1],
        [2, dims(2 ** 40, 2 ** 40)],
      ],
      problem: 'is out of range',
    },
    {
      what: 'a few bytes for gigabytes',
      tensor: [
        [1, 1],
        [2, dims(2 ** 33)],
        [5, { f32: 1 }],
      ],
      problem: '1 values stand for 34359738368 bytes',
    },
  ];

  test.each(bad)('refuses $what', async ({ tensor, problem }) => {
    await expect(read(graphdef, sum(...tensor))).rejects.toMatchObject({
      code: 'MALFORMED',
      message: expect.stringContaining(problem),
    });
  });
});

/** SavedModel with one meta graph. */
const saved = (...fields: readonly ProtoField[]) =>
  message([1, 1], [2, message([1, message([4, 'serve'])], ...fields)]);
const info = (value: string) => message([1, value], [2, 1], [3, dims(2)]);
const signature = (name: string, input: string, output: string): ProtoField => [
  5,
  message(
    [1, name],
    [2, message([1, message([1, 'in'], [2, info(input)])], [2, message([1, 'out'], [2, info(output)])])],
  ),
];
const RELU = graphDef(placeholder('x', 2), nodeDef('y', 'Relu', ['x']));
const VARIABLE = graphDef(
  placeholder('x', 2),
  nodeDef('v', 'VarHandleOp', []),
  nodeDef('r', 'ReadVariableOp', ['v']),
  nodeDef('y', 'AddV2', ['x', 'r']),
);

const refused: readonly {
  readonly what: string;
  readonly importer: typeof graphdef;
  readonly bytes: Uint8Array;
  readonly code?: string;
  readonly problem: string;
}[] = [
  {
    what: 'an empty SavedModel',
    importer: savedModel,
    bytes: new Uint8Array(0),
    problem: 'model.pb: is no SavedModel',
  },
  {
    what: 'another schema version',
    importer: savedModel,
    bytes: message([1, 2], [2, message([2, RELU])]),
    problem: 'is no SavedModel',
  },
  {
    what: 'several signatures, none by default',
    importer: savedModel,
    code: 'UNSUPPORTED',
    bytes: saved([2, RELU], signature('a', 'x:0', 'y:0'), signature('b', 'x:0', 'y:0')),
    problem: 'has no signature serving_default',
  },
  {
    what: 'a signature of nodes that are not there',
    importer: savedModel,
    bytes: saved([2, RELU], signature('serving_default', 'x:0', 'z:0')),
    problem: 'z: no node has this name',
  },
  {
    what: 'a variable without a value',
    importer: savedModel,
    bytes: saved([2, VARIABLE], signature('serving_default', 'x:0', 'y:0')),
    problem: 'variable v: variables/ holds no value for it',
  },
  {
    what: 'a graph with variables as a frozen one',
    importer: graphdef,
    code: 'UNSUPPORTED',
    bytes: VARIABLE,
    problem: 'v: is a variable, whose value is not in this file',
  },
  { what: 'an empty GraphDef', importer: graphdef, bytes: new Uint8Array(0), problem: 'model.pb: has no outputs' },
  {
    what: 'bytes that are no protobuf',
    importer: graphdef,
    bytes: new TextEncoder().encode('no protobuf at all'),
    problem: 'is no protobuf',
  },
];

describe('refuses', () => {
  test.each(refused)('$what', async ({ importer, bytes, code = 'MALFORMED', problem }) => {
    const error = await read(importer, bytes).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    expect(error).toBeInstanceOf(MbertError);
    expect([(error as MbertError).code, (error as MbertError).message]).toEqual([
      code,
      expect.stringContaining(problem),
    ]);
    expect((error as MbertError).message.startsWith('model.pb: ')).toBe(true);
  });

  test.each(['savedmodel-qa', 'graphdef-qa'])('%s at each sixteenth of its length', async (name) => {
    const path = modelPath(name);
    const isFrozen = path.endsWith('.pb');
    const bytes = readFileSync(isFrozen ? path : join(path, 'saved_model.pb'));
    for (let i = 0; i < 16; i++) {
      const cut = bytes.subarray(0, Math.floor((bytes.byteLength * i) / 16));
      await expect(read(isFrozen ? graphdef : savedModel, cut)).rejects.toMatchObject({
        name: 'MbertError',
        code: 'MALFORMED',
      });
    }
  });
});

test('one signature needs no name', async () => {
  const { graph } = await read(savedModel, saved([2, RELU], signature('predict', 'x:0', 'y:0')));
  expect(graphText(graph)).toBe('graph model (in: f32[2])\n  y = relu(in)  f32[2]\nreturn out: y');
});
