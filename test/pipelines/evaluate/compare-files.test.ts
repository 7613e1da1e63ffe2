import { describe, expect, test } from 'vitest';
import { onnx } from '../../../src/exporters/onnx.ts';
import type { Graph, Node } from '../../../src/ir/graph.ts';
import type { Tensor } from '../../../src/ir/tensor.ts';
import type { Task } from '../../../src/models/index.ts';
import { compareFiles, compareLayers, type ProofOptions } from '../../../src/pipelines/evaluate/compare-files.ts';
import { withFolder } from '../../../src/pipelines/evaluate/loaded-model.ts';
import type { TokenRow } from '../../../src/samples/feeds.ts';
import { graphOf } from '../../core.ts';
import { useFakeRuntime } from '../fake-runtime.ts';

const rowOf = (...inputIds: number[]): TokenRow => ({ inputIds, tokenTypeIds: inputIds.map(() => 0) });

/** Two classes for each of four tokens, looked up in a table of five words; word 0 is padding. */
function tagger(table: readonly number[]): Graph {
  return graphOf(`graph g (input_ids: i64[1, 4], attention_mask: i64[1, 4])
  logits = gather(table f32[5, 2] {${table}}, input_ids)
return logits: logits`);
}

function options(rows: readonly TokenRow[], task: Task, labels?: readonly number[]): ProofOptions {
  return { rows, labels, task, pad: 0, mask: undefined, progress: () => {} };
}

function compare(float: Graph, quantized: Graph, given: ProofOptions) {
  return withFolder(async (write) => {
    const [a, b] = [await write(onnx.write(float, onnx.defaults)), await write(onnx.write(quantized, onnx.defaults))];
    return compareFiles(a, b, float, given);
  });
}

describe('two files on the same rows', () => {
  const FLOAT = [7, 7, 1, 0, 0, 1, 2, 0, 0, 3];

  test('that differ in padding only are equal', async () => {
    useFakeRuntime();
    const other = FLOAT.with(0, -7).with(1, 99);
    const found = await compare(tagger(FLOAT), tagger(other), options([rowOf(1, 2), rowOf(3)], 'token-classification'));
    expect(found).toMatchObject({ samples: 2, sqnrDb: Number.POSITIVE_INFINITY, agreement: 1, drop: 0 });
  });

  test('differ by what their answers do', async () => {
    useFakeRuntime();
    // Word 2 is [0, 1] and becomes [1, 1]: one class of three is another, and the error is 1 of 1 + 1 + 4.
    const other = FLOAT.with(4, 1);
    const found = await compare(tagger(FLOAT), tagger(other), options([rowOf(1, 2), rowOf(3)], 'token-classification'));
    expect(found.sqnrDb).toBeCloseTo(10 * Math.log10(6), 9);
    expect(found.agreement).toBeCloseTo(2 / 3, 9);
    expect(found.drop).toBeCloseTo(100 / 3, 9);
    expect(found.accuracy).toBeUndefined();
    expect(found.runtime).toBe('onnxruntime 0.0');
  });

  test('lose what fewer answers are right, where there are labels', async () => {
    useFakeRuntime();
    const classifier = (table: readonly number[]) =>
      graphOf(`graph g (input_ids: i64[1, sequence])
  words = gather(table f32[5, 2] {${table}}, input_ids)
  first = slice(words) {axis: 1, end: 1}
  logits = reshape(first) {shape: [1, 2]}
return logits: logits`);
    // Words 1 and 2 are class 0 and 1, word 3 is 0, word 4 is 1. The other file has 1 for word 1, and 0 for word 4.
    const other = [0, 0, 0, 1, 0, 1, 2, 0, 3, 0];
    const rows = [rowOf(1), rowOf(2), rowOf(3), rowOf(4)];
    const labels = [0, 1, 1, 0];
    const task = 'sequence-classification';
    const found = await compare(classifier(FLOAT), classifier(other), options(rows, task, labels));
    expect(found).toMatchObject({ accuracy: { float: 0.5, quantized: 0.5 }, drop: 0, agreement: 0.5 });
    const worse = await compare(classifier(FLOAT), classifier(other), options(rows.slice(0, 2), task, labels));
    expect(worse).toMatchObject({ accuracy: { float: 1, quantized: 0.5 }, drop: 50 });
  });

  test('run one thread each, and tell of every row', async () => {
    const { loaded } = useFakeRuntime();
    const told: string[] = [];
    const progress = (done: number, total: number) => told.push(`${done}/${total}`);
    const rows = [rowOf(1), rowOf(2), rowOf(3)];
    await compare(tagger(FLOAT), tagger(FLOAT), { ...options(rows, 'token-classification'), progress });
    expect(told).toEqual(['1/3', '2/3', '3/3']);
    expect(loaded.map(({ options: { threads }, feeds }) => [threads, feeds.length])).toEqual([
      [1, 3],
      [1, 3],
    ]);
  });

  test.each([
    ['token-classification', 4, 'choices', 1],
    ['features', 4, 'cosine', 1],
    ['sequence-classification', 1, 'correlation', 1],
  ] as const)('say what their agreement is: %s', async (task, width, agreementOf, agreement) => {
    useFakeRuntime();
    const model = graphOf(`graph g (input_ids: i64[1, 1])
  rows = gather(table f32[5, ${width}] #3, input_ids)
  logits = reshape(rows) {shape: [1, ${width === 1 ? '' : '1, '}${width}]}
return logits: logits`);
    const found = await compare(model, model, options([rowOf(1), rowOf(2), rowOf(3)], task));
    expect(found.agreementOf).toBe(agreementOf);
    expect(found.agreement).toBeCloseTo(agreement, 6);
  });

  test('of numbers that do not vary agree by no number, unless they are equal', async () => {
    useFakeRuntime();
    const alike = (value: number) =>
      graphOf(`graph g (input_ids: i64[1, 1])
  rows = gather(table f32[3, 1] {${value}, ${value}, ${value}}, input_ids)
  logits = reshape(rows) {shape: [1, 1]}
return logits: logits`);
    const given = options([rowOf(0), rowOf(1), rowOf(2)], 'sequence-classification');
    const found = await compare(alike(0.3), alike(0.4), given);
    expect(found).toMatchObject({ agreementOf: 'correlation', agreement: Number.NaN, drop: Number.NaN });
    expect(await compare(alike(0.3), alike(0.3), given)).toMatchObject({ agreement: 1, drop: 0 });
  });

  test('are closed, whatever happens', async () => {
    const broken = useFakeRuntime((file, feeds) => {
      if (file === broken.loaded[1]) throw new Error('the second run fails');
      return new Map([['logits', feeds.get('input_ids') as Tensor]]);
    });
    const given = options([rowOf(1)], 'features');
    await expect(compare(tagger(FLOAT), tagger(FLOAT), given)).rejects.toThrow('the second run fails');
    expect(broken.open()).toBe(0);
  });

  test('leave none open where the second cannot be loaded', async () => {
    const fake = useFakeRuntime();
    const given = options([rowOf(1)], 'features');
    const attempt = withFolder(async (write) => {
      const path = await write(onnx.write(tagger(FLOAT), onnx.defaults));
      return compareFiles(path, `${path}.none`, tagger(FLOAT), given);
    });
    await expect(attempt).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(fake.loaded).toHaveLength(1);
    expect(fake.open()).toBe(0);
  });
});

describe('the layers of two graphs', () => {
  /** Each layer adds a word's channels to themselves; the second one has a norm as well. */
  function layered(table: readonly number[], last = 'add'): Graph {
    return graphOf(`graph g (input_ids: i64[1, 4], attention_mask: i64[1, 4])
  words = gather(table f32[5, 2] {${table}}, input_ids)
  m.layer.0.sum = add(words, words)
  m.layer.1.sum = add(m.layer.0.sum, words)
  m.layer.1.norm = noNorm(m.layer.1.sum, g f32[2] {1, 1}, h f32[2] {0, 0})
  m.layer.2.${last} = add(m.layer.1.norm, words)
return logits: m.layer.2.${last}`);
  }
  const TABLE = [5, 5, 1, 0, 0, 1, 2, 0, 0, 3];

  function layersOf(float: Graph, quantized: Graph, rows: readonly TokenRow[]) {
    return withFolder((scratch) =>
      compareLayers(
        { float, quantized, write: (graph) => scratch(onnx.write(graph, onnx.defaults)) },
        options(rows, 'token-classification'),
      ),
    );
  }

  test('are compared at their last sum or norm, by its name, padding left out', async () => {
    useFakeRuntime();
    // Padding differs, and so does word 2: by 1 where it is 1, in every layer.
    const other = TABLE.with(0, -5).with(5, 2);
    const found = await layersOf(layered(TABLE), layered(other), [rowOf(1, 2), rowOf(3)]);
    expect(found.map(({ name }) => name)).toEqual(['m.layer.0.sum', 'm.layer.1.norm', 'm.layer.2.add']);
    for (const { sqnrDb } of found) expect(sqnrDb).toBeCloseTo(10 * Math.log10(1 + 1 + 4), 9);
    const equal = await layersOf(layered(TABLE), layered(TABLE.with(0, -5)), [rowOf(1, 2)]);
    expect(equal.map(({ sqnrDb }) => sqnrDb)).toEqual(Array(3).fill(Number.POSITIVE_INFINITY));
  });

  test('of one token are compared for that token, however long the text is', async () => {
    useFakeRuntime();
    const last = (table: readonly number[]) =>
      graphOf(`graph g (input_ids: i64[1, 4], attention_mask: i64[1, 4])
  words = gather(table f32[5, 2] {${table}}, input_ids)
  first = slice(words) {axis: 1, end: 1}
  m.layer.0.sum = add(first, first)
return logits: m.layer.0.sum`);
    // Word 2 is [0, 1] and becomes [0, 2]; it counts where it is first.
    const found = await layersOf(last(TABLE), last(TABLE.with(5, 2)), [rowOf(1, 2, 3), rowOf(2, 1, 1)]);
    expect(found[0]?.sqnrDb).toBeCloseTo(10 * Math.log10(1 + 1), 9);
  });

  test('that only one of them has are left out; without any nothing runs', async () => {
    const fake = useFakeRuntime();
    const found = await layersOf(layered(TABLE), layered(TABLE, 'sum'), [rowOf(1)]);
    expect(found.map(({ name }) => name)).toEqual(['m.layer.0.sum', 'm.layer.1.norm']);
    expect(fake.loaded).toHaveLength(2);
    expect(await layersOf(tagger(TABLE), layered(TABLE), [rowOf(1)])).toEqual([]);
    expect(fake.loaded).toHaveLength(2);
  });

  test('are looked at on eight rows, and closed', async () => {
    const fake = useFakeRuntime();
    const rows = Array.from({ length: 12 }, (_, i) => rowOf(1 + (i % 4)));
    await layersOf(layered(TABLE), layered(TABLE), rows);
    expect(fake.loaded.map(({ feeds }) => feeds.length)).toEqual([8, 8]);
    expect(fake.open()).toBe(0);
  });

  test('stored as integers are compared as the numbers that they stand for', async () => {
    useFakeRuntime();
    const stored = graphOf(`graph g (input_ids: i64[1, 4], attention_mask: i64[1, 4])
  words = gather(table f32[5, 2] {${TABLE}}, input_ids)
  m.layer.0.sum = add(words, words)
return logits: m.layer.0.sum`);
    const sum = stored.outputs[0]?.node as Node;
    stored.setType(sum, { dtype: 'u8', shape: [1, 4, 2], quant: { per: 'tensor', scale: 1.5, zeroPoint: 0 } });
    const [found] = await layersOf(layered(TABLE), stored, [rowOf(1, 2)]);
    // 2 becomes 1.5 in both words.
    expect(found).toEqual({ name: 'm.layer.0.sum', sqnrDb: expect.closeTo(10 * Math.log10(8 / 0.5), 9) });
  });
});
