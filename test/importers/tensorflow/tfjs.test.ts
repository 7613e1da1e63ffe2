import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MbertError } from '../../../src/errors.ts';
import { parseJson } from '../../../src/formats/json.ts';
import { readTfjsModel, readTfjsWeights } from '../../../src/formats/tfjs.ts';
import { readF32, readIntegers } from '../../../src/ir/tensor.ts';
import { memoryFile } from '../../formats/memory-file.ts';
import { modelPath, openGraph, temporaryFolder } from './cases.ts';

interface Json {
  [key: string]: unknown;
}

/** The smallest model.json that does something, with one group of weights. */
function modelJson(group: Json, rest: Json = {}): Json {
  return { format: 'graph-model', modelTopology: { node: [] }, weightsManifest: [group], ...rest };
}

function weightsOf(group: Json, ...shards: readonly Uint8Array[]) {
  const { groups } = readTfjsModel(parseJson(JSON.stringify(modelJson(group)), 'model.json'), 'model.json');
  const files = shards.map((bytes, i) => memoryFile(`shard${i}.bin`, bytes));
  return readTfjsWeights(groups[0] as NonNullable<(typeof groups)[0]>, files, 'model.json');
}

const floats = (...values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);

describe('weights', () => {
  test('lie one after the other, across the files of their group', () => {
    const group = {
      paths: ['a', 'b', 'c'],
      weights: [
        { name: 'x', shape: [2], dtype: 'float32' },
        { name: 'n', shape: [], dtype: 'int32' },
        { name: 'y', shape: [1, 2], dtype: 'float32' },
      ],
    };
    const bytes = Buffer.concat([floats(1, 2), new Uint8Array(Int32Array.of(-7).buffer), floats(3, 4)]);
    const tensors = weightsOf(group, bytes.subarray(0, 3), bytes.subarray(3, 13), bytes.subarray(13));
    expect([...tensors.keys()]).toEqual(['x', 'n', 'y']);
    expect([...readF32(tensors.get('x') ?? fail())]).toEqual([1, 2]);
    expect(readIntegers(tensors.get('n') ?? fail())).toEqual([-7]);
    expect([...readF32(tensors.get('y') ?? fail())]).toEqual([3, 4]);
  });

  test('that are texts are passed over: assertions have some', () => {
    const group = {
      paths: ['a'],
      weights: [
        { name: 'messages', shape: [2], dtype: 'string' },
        { name: 'x', shape: [1], dtype: 'float32' },
      ],
    };
    const texts = Uint8Array.of(2, 0, 0, 0, 0x68, 0x69, 0, 0, 0, 0);
    const tensors = weightsOf(group, texts.subarray(0, 3), Buffer.concat([texts.subarray(3), floats(5)]));
    expect([...tensors.keys()]).toEqual(['x']);
    expect([...readF32(tensors.get('x') ?? fail())]).toEqual([5]);
    const longer = texts.with(0, 255);
    expect(() => weightsOf(group, longer, floats(5))).toThrow('messages: ends at byte');
    expect(() => weightsOf(group, texts.subarray(0, 8))).toThrow('messages: ends at byte');
  });

  test('of 8 and 16 bits are scaled, those of f16 stay f16', () => {
    const group = {
      paths: ['a'],
      weights: [
        { name: 'u8', shape: [3], dtype: 'float32', quantization: { dtype: 'uint8', min: -1, scale: 0.5 } },
        { name: 'u16', shape: [1], dtype: 'int32', quantization: { dtype: 'uint16', min: 2, scale: 1.5 } },
        { name: 'f16', shape: [1], dtype: 'float32', quantization: { dtype: 'float16' } },
      ],
    };
    const tensors = weightsOf(group, Uint8Array.of(0, 1, 255, 3, 0, 0, 0x3c));
    expect([...readF32(tensors.get('u8') ?? fail())]).toEqual([-1, -0.5, 126.5]);
    // 3 · 1.5 + 2 is rounded, as tfjs does.
    expect(readIntegers(tensors.get('u16') ?? fail())).toEqual([7]);
    expect([tensors.get('f16')?.dtype, ...readF32(tensors.get('f16') ?? fail())]).toEqual(['f16', 1]);
  });
});

function fail(): never {
  throw new Error('the weight is not there');
}

/** A copy of the fixture's folder with a change to its files, or to its model.json. */
function damaged(touch: (folder: string) => void, edit: (json: Json) => Json = (json) => json): string {
  const folder = temporaryFolder();
  cpSync(modelPath('mini-tfjs-qa'), folder, { recursive: true });
  const path = join(folder, 'model.json');
  writeFileSync(path, JSON.stringify(edit(JSON.parse(readFileSync(path, 'utf8')) as Json)));
  touch(folder);
  return folder;
}

const edited = (edit: (json: Json) => Json) => damaged(() => {}, edit);

/** The manifest's group after a change to it. */
const group = (json: Json, change: (group: Json & { weights: Json[]; paths: string[] }) => Json): Json => ({
  ...json,
  weightsManifest: (json['weightsManifest'] as (Json & { weights: Json[]; paths: string[] })[]).map(change),
});

const LAST = 'group1-shard5of5.bin';

interface Row {
  readonly what: string;
  readonly path: () => string;
  readonly code?: string;
  readonly problem: string;
}

/** The first weight is a whole number without axes. */
const firstWeight = (change: Json) =>
  edited((json) => group(json, (each) => ({ ...each, weights: [{ ...each.weights[0], ...change }] })));

const rows: readonly Row[] = [
  {
    what: 'a weight file that is missing',
    path: () => damaged((folder) => rmSync(join(folder, LAST))),
    code: 'NOT_FOUND',
    problem: `names ${LAST}, which does not exist`,
  },
  {
    what: 'a weight file that ends early',
    path: () => damaged((folder) => truncateSync(join(folder, LAST), 16_580)),
    problem: 'ends at byte 96624, the weight files hold 96580',
  },
  {
    what: 'a weight file that goes on',
    path: () => damaged((folder) => writeFileSync(join(folder, LAST), new Uint8Array(20_000))),
    problem: 'the weight files hold 100000 bytes, the weights take 96644',
  },
  {
    what: 'a weight file of another folder',
    path: () => edited((json) => group(json, (each) => ({ ...each, paths: ['../../../etc/passwd'] }))),
    problem: '"../../../etc/passwd" leaves the model\'s folder',
  },
  {
    what: 'a model.json that is cut off',
    path: () => damaged((folder) => truncateSync(join(folder, 'model.json'), 200_000)),
    problem: 'is not JSON: it ends too early',
  },
  {
    what: 'a layers model',
    path: () => edited((json) => ({ ...json, format: 'layers-model', modelTopology: { model_config: {} } })),
    code: 'UNSUPPORTED',
    problem: 'is a TF.js layers model',
  },
  { what: 'no graph', path: () => edited(() => ({ format: 'graph-model' })), problem: 'has no modelTopology' },
  {
    what: 'a constant that is not among the weights',
    path: () => edited((json) => group(json, (each) => ({ ...each, weights: each.weights.map(renamed) }))),
    problem: 'has no weight ',
  },
  {
    what: 'a weight that is there twice',
    path: () =>
      edited((json) => group(json, (each) => ({ ...each, weights: each.weights.map((w) => ({ ...w, name: 'w' })) }))),
    problem: 'w: is listed twice',
  },
  {
    what: 'a size that is no number',
    path: () => firstWeight({ shape: ['many'] }),
    problem: 'shape: is "many", not an integer',
  },
  {
    what: 'sizes beyond all memory',
    path: () => firstWeight({ shape: [2 ** 30, 2 ** 30] }),
    problem: 'shape [1073741824,1073741824] is out of range',
  },
  {
    what: 'a type that mbert has not',
    path: () => firstWeight({ dtype: 'complex64' }),
    code: 'UNSUPPORTED',
    problem: 'weights of type "complex64"',
  },
  {
    what: 'a scale that is missing',
    path: () => firstWeight({ quantization: { dtype: 'uint8', min: 0 } }),
    problem: 'cannot be i32 from u8 with scale null and min 0',
  },
];

function renamed(weight: Json): Json {
  return { ...weight, name: `${String(weight['name'])}?` };
}

describe('refuses', () => {
  test.each(rows)('$what', async ({ path, code = 'MALFORMED', problem }) => {
    const folder = path();
    const error = await openGraph(folder).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    expect(error).toBeInstanceOf(MbertError);
    expect([(error as MbertError).code, (error as MbertError).message]).toEqual([
      code,
      expect.stringContaining(problem),
    ]);
    expect((error as MbertError).message.startsWith(join(folder, 'model.json'))).toBe(true);
  });
});

test('names are those of the signature, without the number of the value', async () => {
  const { graph } = await openGraph(modelPath('mini-tfjs-qa'));
  expect(graph.inputs.map(({ name }) => name)).toEqual(['attention_mask', 'token_type_ids', 'input_ids']);
  expect(graph.outputs.map(({ name }) => name)).toEqual(['Identity', 'Identity_1']);
});
