import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { onnx } from '../../../src/exporters/onnx.ts';
import { tflite } from '../../../src/exporters/tflite.ts';
import { writeFiles } from '../../../src/io/files.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { readF32, readIntegers, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import { type VerifyOptions, verifyFile } from '../../../src/pipelines/convert/verify-written.ts';
import { graphOf } from '../../core.ts';
import { computed, useFakeRuntime } from '../fake-runtime.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();

/** Two classes by the first word of six. */
function classifier(shape = 'batch, sequence', more = ''): Graph {
  return graphOf(classifierText(more, 'logits', shape));
}

function classifierText(more: string, output: string, shape = 'batch, sequence'): string {
  const [batch] = shape.split(', ');
  return `graph g (input_ids: i64[${shape}], attention_mask: i64[${shape}])
  words = gather(table f32[6, 2] {3, 1, -2, 0, 0, 1, 1, 0, 4, -4, 0, 2}, input_ids)
  first = slice(words) {axis: 1, end: 1}
  logits = reshape(first) {shape: [${batch}, 2]}${more}
return logits: ${output}`;
}

let count = 0;
async function write(graph: Graph): Promise<string> {
  const name = `${count++}.onnx`;
  await writeFiles(folder, onnx.write(graph, { ...onnx.defaults, name }));
  return join(folder, name);
}

interface Wanted extends Partial<VerifyOptions> {
  readonly file?: Graph;
  /** What is added to the file's answers in the run of this number. */
  readonly error?: (run: number) => number;
}

async function verified({ file = classifier(), error = () => 0, ...more }: Wanted = {}) {
  const written = await write(file);
  const fake = useFakeRuntime((loaded, feeds) => {
    const outputs = computed(loaded, feeds);
    if (loaded.path !== written) return outputs;
    const off = error(loaded.feeds.length - 1);
    const { shape } = outputs.get('logits') as Tensor;
    const values = readF32(outputs.get('logits') as Tensor).map((value, i) => value + (i === 0 ? off : 0));
    return new Map([['logits', tensorOf('f32', shape, values)]]);
  });
  const result = await verifyFile({
    pad: 0,
    reference: classifier(),
    against: 'source',
    written,
    name: 'm.onnx',
    dtype: 'f32',
    maxPositions: 512,
    ...more,
  });
  const [reference, own] = fake.loaded;
  return { result, fake, reference: reference?.feeds ?? [], own: own?.feeds ?? [] };
}

const idsOf = (feed: ReadonlyMap<string, Tensor>) => feed.get('input_ids') as Tensor;

test('a file that answers NaN fails, even where its source does as well', async () => {
  const nan = graphOf(`graph g (input_ids: i64[batch, sequence], attention_mask: i64[batch, sequence])
  words = gather(table f32[6, 2] #1, input_ids)
  first = slice(words) {axis: 1, end: 1}
  rows = reshape(first) {shape: [batch, 2]}
  squares = mul(rows, rows)
  below = sub(squares, hundred f32[] {1000})
  logits = sqrt(below)
return logits: logits`);
  const { result } = await verified({ file: nan, reference: nan });
  expect(result.ok).toBe(false);
  expect(result.outputs[0]?.maxAbsError).toBeNaN();
});

describe('labels of which any number applies', () => {
  const head = { task: 'sequence-classification', logitsKind: 'multi-label' } as const;
  const lower = (give = '') =>
    graphOf(`graph g (input_ids: i64[batch, sequence], attention_mask: i64[batch, sequence])
  words = gather(table f32[6, 2] {3, 1, -2, 0, 0, 1, 1, 0, 4, -4, 0, 2}, input_ids)
  first = slice(words) {axis: 1, end: 1}
  rows = reshape(first) {shape: [batch, 2]}
  logits = sub(rows, two f32[] {2})${give}
return logits: ${give === '' ? 'logits' : 'p'}`);

  test('agree by the decision of each, in logits and in their sigmoids', async () => {
    const agreementOf = async (wanted: Wanted) => (await verified(wanted)).result.outputs[0];
    // Each is lower by 2, so that all stay in their order.
    expect(await agreementOf({ file: lower() })).toMatchObject({ choices: 'largest', agreement: 1 });
    const logits = await agreementOf({ file: lower(), ...head });
    expect(logits?.choices).toBe('decisions');
    expect(logits?.agreement).toBeGreaterThan(0);
    expect(logits?.agreement).toBeLessThan(1);
    const sigmoids = graphOf(classifierText('\n  p = sigmoid(logits)', 'p'));
    const probabilities = await agreementOf({ reference: sigmoids, file: lower('\n  p = sigmoid(logits)'), ...head });
    expect(probabilities?.agreement).toBe(logits?.agreement);
  });
});

describe('a written file', () => {
  test('answers sixteen sequences of many lengths, the reference the same ones', async () => {
    const { result, reference, own } = await verified();
    expect(result).toMatchObject({ ok: true, against: 'source', runtime: 'onnxruntime 0.0', sequences: 16 });
    const shapes = own.map((feed) => idsOf(feed).shape);
    expect(shapes.reduce((sum, [rows = 0]) => sum + rows, 0)).toBe(16);
    expect(new Set(shapes.map(([, length]) => length)).size).toBe(8);
    expect(Math.max(...shapes.map(([, length = 0]) => length))).toBe(128);
    expect(own.map((feed) => readIntegers(idsOf(feed)))).toEqual(reference.map((feed) => readIntegers(idsOf(feed))));
    expect(Math.max(...own.flatMap((feed) => readIntegers(idsOf(feed))))).toBe(5);
  });

  test('says how many sequences it really answered', async () => {
    const { result, own } = await verified({ file: classifier('5, 8') });
    expect(own).toHaveLength(4);
    expect(result.sequences).toBe(20);
    const { own: single } = await verified({ file: classifier('1, 8') });
    expect(new Set(single.map((feed) => readIntegers(idsOf(feed)).join())).size).toBe(16);
  });

  test('is run no longer than its model has positions', async () => {
    const { own } = await verified({ maxPositions: 10 });
    expect(Math.max(...own.map((feed) => idsOf(feed).shape[1] as number))).toBe(10);
  });

  test('that errs in its last run is found out', async () => {
    const { result } = await verified({ error: (run) => (run === 10 ? 0.01 : 0) });
    expect(result.ok).toBe(false);
    expect(result.outputs[0]?.maxAbsError).toBeCloseTo(0.01, 6);
  });

  test.each<[string, Wanted, number]>([
    ['f32', {}, 4 * 5e-5],
    ['f16', { dtype: 'f16' }, 4 * 2e-2],
    ['f16, of a source that computes so itself', { source: 'half' }, 4 * 2e-2],
  ])('may be off by the rounding of %s', async (_, { source, ...options }, limit) => {
    const table = 'table f32[6, 2] {3, 1, -2, 0, 0, 1, 1, 0, 4, -4, 0, 2}';
    const half = graphOf(`graph g (input_ids: i64[batch, sequence], attention_mask: i64[batch, sequence])
  words = gather(${table.replace('f32', 'f16')}, input_ids)
  first = slice(words) {axis: 1, end: 1}
  logits = reshape(first) {shape: [batch, 2]}
return logits: logits`);
    const given = source === undefined ? {} : { source: await write(half), reference: half };
    const off = async (by: number) => (await verified({ ...options, ...given, error: () => by })).result;
    expect((await off(0)).outputs[0]?.limit).toBeCloseTo(limit, 9);
    expect((await off(0.95 * limit)).ok).toBe(true);
    expect((await off(1.05 * limit)).ok).toBe(false);
  });

  test('of small answers may be off by 0.0001', async () => {
    const reference = graphOf(`graph g (input_ids: i64[batch, sequence])
  words = gather(table f32[2, 2] {0.1, 0, 0, 0.1}, input_ids)
  first = slice(words) {axis: 1, end: 1}
  logits = reshape(first) {shape: [batch, 2]}
return logits: logits`);
    const { result } = await verified({ reference, file: reference });
    expect(result.outputs[0]?.limit).toBe(1e-4);
  });

  test('of a quantized source may be off by a step of it', async () => {
    const stored = graphOf(`graph g (input_ids: i64[batch, sequence], attention_mask: i64[batch, sequence])
  words = gather(table f32[6, 2] {3, 1, -2, 0, 0, 1, 1, 0, 4, -4, 0, 2}, input_ids)
  rounded = quantize(words)
  real = dequantize(rounded)
  first = slice(real) {axis: 1, end: 1}
  logits = reshape(first) {shape: [batch, 2]}
return logits: logits`);
    const rounded = stored.nodes().find(({ name }) => name === 'rounded') as never;
    const quant = { per: 'tensor', scale: 0.5, zeroPoint: 0 } as const;
    stored.setType(rounded, { dtype: 'i8', shape: ['batch', 'sequence', 2], quant });
    const { result } = await verified({ reference: stored });
    expect(result.outputs[0]?.limit).toBeCloseTo(4 * 5e-2, 9);
  });

  test('of a source that rounds a whole run is compared with it unrounded, and may be off as far as the source', async () => {
    // The loud channel takes the steps from the other two, which alone are answered; the source's weights are integers.
    const of = (rounds: boolean, weight: string) =>
      graphOf(`graph g (input_ids: i32[1, 8])
  words = gather(table f32[6, 3] {3, 1, 900, 0.1, 2, -900, 1, 0, 900, 4, -4, 7, 0, 2, 8, 1, 1, 9}, input_ids)
  ${rounds ? 'read = dynamicRound(words)' : 'read = add(words, none f32[] {0})'}
  rows = linear(read, weight ${rounds ? 'i8[2, 3] q(1, 0)' : 'f32[2, 3]'} {${weight}})
  first = slice(rows) {axis: 1, end: 1}
  logits = reshape(first) {shape: [1, 2]}
return logits: logits`);
    const right = '1, 0, 0, 0, 1, 0';
    const check = async (weight: string, target: 'onnx' | 'tflite') => {
      const name = `${count++}.${target}`;
      const graph = of(false, weight);
      const files =
        target === 'onnx'
          ? onnx.write(graph, { ...onnx.defaults, name })
          : tflite.write(graph, { ...tflite.defaults, name });
      await writeFiles(folder, files);
      useFakeRuntime();
      const shared = { pad: 0, against: 'source', name, dtype: 'f32', maxPositions: 8 } as const;
      return verifyFile({ ...shared, reference: of(true, right), written: join(folder, name) });
    };
    const good = await check(right, 'tflite');
    expect(good).toMatchObject({
      ok: true,
      against: 'unrounded source',
      outputs: [{ sqnrDb: Number.POSITIVE_INFINITY }],
    });
    expect(good.outputs[0]?.sourceDb).toBeLessThan(20);
    const source = good.outputs[0]?.limit as number;
    expect(source).toBeGreaterThan(4 * 5e-2);
    // In an answer of 4, off by less and by more than the source is.
    expect((await check(`${1 + source / 4.2}, 0, 0, 0, 1, 0`, 'tflite')).ok).toBe(true);
    expect((await check(`${1 + source / 3.8}, 0, 0, 0, 1, 0`, 'tflite')).ok).toBe(false);
    // ONNX rounds as the source does.
    const onnxFile = await check(right, 'onnx');
    expect(onnxFile).toMatchObject({ ok: false, against: 'source', outputs: [{ sourceDb: undefined }] });
  });

  test('is judged by its tokens, not by padding behind them', async () => {
    const tokens = (padding: string) =>
      graphOf(`graph g (input_ids: i64[batch, sequence], attention_mask: i64[batch, sequence])
  words = gather(table f32[6, 2] {3, 1, -2, 0, 0, 1, 1, 0, 4, -4, 0, 2}, input_ids)
  ones = cast(attention_mask) {to: f32}
  absent = sub(one f32[] {1}, ones)
  scaled = mul(absent, off f32[] {${padding}})
  column = reshape(scaled) {shape: [batch, sequence, 1]}
  logits = add(words, column)
return logits: logits`);
    const { result } = await verified({ reference: tokens('0'), file: tokens('7') });
    expect(result.outputs[0]).toMatchObject({ maxAbsError: 0, agreement: 1 });
    const { result: wrong } = await verified({ reference: tokens('0'), file: tokens('7'), error: () => 0.01 });
    expect(wrong.ok).toBe(false);
  });

  test('agrees in the share of rows whose largest value is at the same place', async () => {
    // 16 rows in eleven runs; the first row of one run gets another class.
    const { result } = await verified({ error: (run) => (run === 3 ? 100 : 0) });
    const { result: other } = await verified({ error: (run) => (run === 3 ? -100 : 0) });
    const agreements = [result, other].map(({ outputs }) => outputs[0]?.agreement ?? 0);
    expect(agreements.toSorted((a, b) => a - b)).toEqual([15 / 16, 1]);
  });

  test('is closed, and so is the reference, where a run fails', async () => {
    const written = await write(classifier());
    const fake = useFakeRuntime(({ path }, feeds) => {
      if (path === written) throw new Error('fails');
      return new Map([['logits', feeds.get('input_ids') as Tensor]]);
    });
    const options = {
      pad: 0,
      reference: classifier(),
      against: 'source',
      written,
      name: 'm',
      dtype: 'f32',
      maxPositions: 8,
    } as const;
    await expect(verifyFile(options)).rejects.toThrow('fails');
    expect([fake.loaded.length, fake.open()]).toEqual([2, 0]);
  });
});
