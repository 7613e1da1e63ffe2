import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { MbertError } from '../../../src/errors.ts';
import { decodeFlatbuffer } from '../../../src/formats/tflite/decode.ts';
import { encodeFlatbuffer } from '../../../src/formats/tflite/encode.ts';
import { type Model, modelRoot } from '../../../src/formats/tflite/generated/model.ts';
import type { Draft } from '../../../src/formats/tflite/table.ts';
import { graphdef } from '../../../src/importers/graphdef.ts';
import type { GraphSource, Importer } from '../../../src/importers/importer.ts';
import { savedModel } from '../../../src/importers/saved-model.ts';
import { tfjs } from '../../../src/importers/tfjs.ts';
import { tflite } from '../../../src/importers/tflite.ts';
import { byteLength } from '../../../src/ir/tensor.ts';
import { graphOf } from '../../core.ts';
import { bytesOf } from '../../exporters/tflite-lab.ts';
import { fc } from '../../fast-check.ts';
import { damage, EDITS, RUNS } from '../../formats/damage.ts';
import { memoryFile } from '../../formats/memory-file.ts';
import { TRIGRAM } from '../../passes/sample-graphs.ts';
import { modelPath, temporaryFolder } from './cases.ts';

/** What a hostile file may make of itself: masks and ones are a few bytes in the file. */
const MAX_CONSTANT_BYTES = 2 ** 27;

/** Nothing but an MbertError may come of reading it all, and no constant that the file has no reason for. */
async function survives(read: () => Promise<GraphSource>): Promise<void> {
  try {
    const source = await read();
    try {
      for (const node of source.graph.nodes()) {
        if (node.op !== 'constant') continue;
        const { dtype, shape } = node.tensor;
        expect(byteLength(dtype, shape)).toBeLessThanOrEqual(MAX_CONSTANT_BYTES);
        expect(node.tensor.bytes().byteLength).toBe(byteLength(dtype, shape));
      }
    } finally {
      source.close();
    }
  } catch (error) {
    if (!(error instanceof MbertError)) throw error;
  }
}

async function readBytes(
  importer: Importer,
  name: string,
  bytes: Uint8Array,
  beside?: ReadonlyMap<string, Uint8Array>,
): Promise<GraphSource> {
  return (await importer.read(memoryFile(name, bytes, beside))) as GraphSource;
}

const shards = new Map(
  Array.from({ length: 5 }, (_, i) => `group1-shard${i + 1}of5.bin`).map((name) => [
    name,
    readFileSync(join(modelPath('mini-tfjs-qa'), name)),
  ]),
);

/** A SavedModel's variables are read from the folder of its saved_model.pb. */
const folder = temporaryFolder();
const VARIABLES = ['variables.index', 'variables.data-00000-of-00001'];
beforeAll(() => {
  mkdirSync(join(folder, 'variables'));
  for (const name of VARIABLES) {
    writeFileSync(
      join(folder, 'variables', name),
      readFileSync(join(modelPath('savedmodel-tf1-seqcls'), 'variables', name)),
    );
  }
});

interface Row {
  readonly what: string;
  readonly good: () => Promise<Uint8Array> | Uint8Array;
  readonly read: (bytes: Uint8Array) => Promise<GraphSource>;
  /** Whole models take 50 ms to import. */
  readonly isLarge?: boolean;
}

const rows: readonly Row[] = [
  { what: 'TFLite', good: () => bytesOf(graphOf(TRIGRAM)), read: (bytes) => readBytes(tflite, 'm.tflite', bytes) },
  {
    what: 'TFLite of a quantized model',
    good: () => readFileSync('fixtures/tflite-qa-int8/model.tflite'),
    read: (bytes) => readBytes(tflite, 'm.tflite', bytes),
    isLarge: true,
  },
  {
    what: 'GraphDef of a model',
    good: () => readFileSync(modelPath('graphdef-qa')),
    read: (bytes) => readBytes(graphdef, 'm.pb', bytes),
    isLarge: true,
  },
  {
    what: 'TF.js of a model',
    good: () => readFileSync(join(modelPath('mini-tfjs-qa'), 'model.json')),
    read: (bytes) => readBytes(tfjs, 'model.json', bytes, shards),
    isLarge: true,
  },
  {
    what: 'SavedModel of TensorFlow 1',
    good: () => readFileSync(join(modelPath('savedmodel-tf1-seqcls'), 'saved_model.pb')),
    read: (bytes) => readBytes(savedModel, join(folder, 'saved_model.pb'), bytes),
    isLarge: true,
  },
];

describe('damaged files are refused or read, nothing else', () => {
  test.each(rows)('$what', async ({ good, read, isLarge = false }) => {
    const bytes = await good();
    expect((await read(bytes)).graph.outputs.length).toBeGreaterThan(0);
    await fc.assert(
      fc.asyncProperty(EDITS, (edits) => survives(() => read(damage(bytes, edits)))),
      { numRuns: isLarge ? Math.ceil(RUNS / 8) : RUNS },
    );
  });
});

/** A number, text or flag in a tree, by its owner and key. */
type Leaf = readonly [owner: Record<string, unknown>, key: string];

function leavesOf(value: unknown): Leaf[] {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return [];
  const owner = value as Record<string, unknown>;
  return Object.keys(owner).flatMap((key): Leaf[] => {
    const child = owner[key];
    return typeof child === 'object' ? leavesOf(child) : [[owner, key]];
  });
}

const NUMBERS = fc.constantFrom(-(2 ** 31), -2, -1, 0, 1, 2, 3, 7, 16, 255, 2 ** 31 - 1);
const CHANGES = fc.array(
  fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), number: NUMBERS }),
  {
    minLength: 1,
    maxLength: 3,
  },
);

/** Puts another number in the place of some leaves; texts become another leaf's text. */
function change(tree: unknown, changes: readonly { readonly at: number; readonly number: number }[]): void {
  const leaves = leavesOf(tree);
  for (const { at, number } of changes) {
    const [owner, key] = leaves[Math.floor(at * leaves.length)] as Leaf;
    const [other, otherKey] = leaves[Math.floor(((at * 7919) % 1) * leaves.length)] as Leaf;
    if (typeof owner[key] === 'number') owner[key] = number;
    else if (typeof owner[key] === typeof other[otherKey]) owner[key] = other[otherKey];
  }
}

/** The bytes of a model, or none where a text has come to stand for a value that its field does not have in the format. */
function encoded(model: Draft<Model>): Uint8Array | undefined {
  try {
    return encodeFlatbuffer(modelRoot, model).bytes;
  } catch (error) {
    if (error instanceof Error && /^\w+ has no (value|member) /.test(error.message)) return undefined;
    throw error;
  }
}

describe('well-formed files that say something else are refused or read', () => {
  test('TFLite', async () => {
    const bytes = new Uint8Array(readFileSync('fixtures/mini-tflite-qa/model.tflite'));
    const run = fc.asyncProperty(CHANGES, async (changes) => {
      const model = decodeFlatbuffer(modelRoot, bytes, 'm.tflite');
      change([model.operatorCodes, model.subgraphs, model.signatureDefs], changes);
      const changed = encoded(model as Draft<Model>);
      fc.pre(changed !== undefined);
      await survives(() => readBytes(tflite, 'm.tflite', changed));
    });
    await fc.assert(run, { numRuns: Math.ceil(RUNS / 8) });
  });

  test('TF.js', async () => {
    const text = readFileSync(join(modelPath('mini-tfjs-qa'), 'model.json'), 'utf8');
    const run = fc.asyncProperty(CHANGES, async (changes) => {
      const json: unknown = JSON.parse(text);
      change(json, changes);
      await survives(() => readBytes(tfjs, 'model.json', new TextEncoder().encode(JSON.stringify(json)), shards));
    });
    await fc.assert(run, { numRuns: Math.ceil(RUNS / 8) });
  });
});
