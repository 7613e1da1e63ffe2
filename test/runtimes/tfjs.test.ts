import { cpSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import { type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { loadSource } from '../../src/opened/load-source.ts';
import { openModel } from '../../src/opened/open-model.ts';
import { runtimeFor } from '../../src/runtimes/index.ts';
import { tfjs } from '../../src/runtimes/tfjs.ts';
import { openCase, worstDifference } from '../importers/tensorflow/cases.ts';
import { fixture } from '../models/corpus.ts';
import { unpacked } from '../unpacked.ts';
import { largestError } from './oracle.ts';

const folder = mkdtempSync(join(tmpdir(), 'mbert-tfjs-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(async () => {
  // An import that is still under way when the mock is taken back puts it in place again.
  await vi.dynamicImportSettled();
  vi.doUnmock('@tensorflow/tfjs-core');
});

const modelOf = (name: string) => join(unpacked(fixture(name)), 'tfjs/model.json');
const path = modelOf('tfjs-qa');

/** Fixtures without weights, and with an op that TF.js does not have. */
const APART: ReadonlySet<string> = new Set(['tfjs-qna', 'tfjs-roberta-seqcls']);

/** Fixtures that tensorflowjs_converter wrote, with their weights. */
const WRITTEN = readdirSync('fixtures').filter((name) => name.startsWith('tfjs-') && !APART.has(name));

/** Token inputs of one sequence, other for each seed: the last tokens are padding, the second half is a second text. */
function feedsOf(names: readonly string[], length: number, seed: number): Map<string, Tensor> {
  const values: { readonly [name: string]: (i: number) => number } = {
    input_ids: (i) => (i < length - seed ? 5 + ((i * 131 + seed * 977) % 900) : 0),
    attention_mask: (i) => (i < length - seed ? 1 : 0),
    token_type_ids: (i) => (i >= length / 2 && i < length - seed ? 1 : 0),
  };
  return new Map(
    names.map((name) => [
      name,
      tensorOf(
        'i32',
        [1, length],
        Int32Array.from({ length }, (_, i) => values[name]?.(i) ?? Number.NaN),
      ),
    ]),
  );
}

describe.each(WRITTEN)('%s', (name) => {
  test('runs as its oracle did', async () => {
    const session = await tfjs.load(modelOf(name));
    expect(await worstDifference(name, await openCase(name), (feeds) => session.run(feeds))).toBeLessThanOrEqual(1);
    await session.close();
  });

  test('computes what the graph computes that mbert reads in it', async () => {
    const graph = await openCase(name);
    const session = await tfjs.load(modelOf(name));
    expect(session.inputs.map(({ name: input, dtype, shape }) => [input, dtype, shape])).toEqual(
      graph.inputs.map(({ name: input, type }) => [input, type.dtype, type.shape]),
    );
    expect(session.outputs.map((output) => output.name)).toEqual(graph.outputs.map((output) => output.name));
    const length = Number(session.inputs[0]?.shape.at(-1));
    for (const seed of [0, 5]) {
      const feeds = feedsOf(
        session.inputs.map((input) => input.name),
        length,
        seed,
      );
      const found = await session.run(feeds);
      for (const [output, values] of evaluate(graph, feeds)) {
        expect(largestError(found.get(output), values), output).toBeLessThan(1e-4);
      }
    }
    await session.close();
  });
});

test('an op that TF.js does not have is told when the model is loaded, and its graph runs instead', async () => {
  const model = modelOf('tfjs-roberta-seqcls');
  await expect(tfjs.load(model)).rejects.toThrow(`${model}: TF.js has no op Assert`);
  const opened = await openModel(model);
  const { session, ran, refusal } = await loadSource(opened.runnable, opened.reference());
  expect([ran, refusal]).toEqual(['graph', `${model}: TF.js has no op Assert`]);
  await session.close();
  opened.close();
});

test('returns only the wanted outputs, in the order in which they are wanted', async () => {
  const session = await tfjs.load(path);
  const feeds = feedsOf(['input_ids', 'attention_mask', 'token_type_ids'], 32, 1);
  const all = await session.run(feeds);
  const two = await session.run(feeds, ['Identity_1', 'Identity']);
  expect([...two.keys()]).toEqual(['Identity_1', 'Identity']);
  for (const [name, tensor] of two) expect(largestError(tensor, all.get(name) ?? expect.unreachable())).toBe(0);
  await session.close();
  await session.close();
});

test('a source is run in TF.js itself, and its file is told by its content', async () => {
  expect(runtimeFor(path).name).toBe('tfjs');
  const model = await openModel(path);
  const loaded = await loadSource(model.runnable, model.reference());
  expect(loaded).toMatchObject({ ran: 'file', runtime: expect.stringMatching(/^tfjs 4\./), refusal: undefined });
  await loaded.session.close();
  model.close();
});

test('where TF.js is not installed, the graph that was read runs, and the result says why', async () => {
  vi.doMock('@tensorflow/tfjs-core', () => {
    throw new Error('Cannot find package');
  });
  await expect(tfjs.load(path)).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    hint: 'npm install @tensorflow/tfjs-core @tensorflow/tfjs-converter @tensorflow/tfjs-backend-wasm',
  });
  const model = await openModel(path);
  const loaded = await loadSource(model.runnable, model.reference());
  expect(loaded).toMatchObject({ ran: 'graph', refusal: `${path}: TF.js is not installed` });
  await loaded.session.close();
  model.close();
});

describe('refusals', () => {
  /** A copy of the model to spoil. */
  function spoilt(name: string, spoil: (copy: string) => void): string {
    const copy = join(folder, name);
    cpSync(join(path, '..'), copy, { recursive: true });
    spoil(copy);
    return join(copy, 'model.json');
  }

  test.each<[string, string, (copy: string) => void]>([
    ['a shard that is not there', 'NOT_FOUND', (copy) => rmSync(join(copy, 'group1-shard2of4.bin'))],
    ['a shard that is cut', 'MALFORMED', (copy) => truncateSync(join(copy, 'group1-shard4of4.bin'), 100)],
    [
      'a weight file outside of the folder',
      'MALFORMED',
      (copy) =>
        writeFileSync(
          join(copy, 'model.json'),
          '{"format": "graph-model", "modelTopology": {"node": []}, "weightsManifest": [{"paths": ["../x.bin"], "weights": []}]}',
        ),
    ],
  ])('%s', async (what, code, spoil) => {
    await expect(tfjs.load(spoilt(what, spoil))).rejects.toMatchObject({ code });
  });

  test('bytes without the files that they name', async () => {
    await expect(tfjs.load(Buffer.from('{"format": "graph-model"'))).rejects.toMatchObject({ code: 'USAGE' });
  });

  test('an input of another shape', async () => {
    const session = await tfjs.load(path);
    const feeds = feedsOf(['input_ids', 'attention_mask', 'token_type_ids'], 16, 0);
    await expect(session.run(feeds)).rejects.toMatchObject({ code: 'MISMATCH' });
    await session.close();
  });
});
