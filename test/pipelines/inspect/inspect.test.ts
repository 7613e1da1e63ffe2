import { join } from 'node:path';
import { expect, test } from 'vitest';
import { onnx } from '../../../src/exporters/onnx.ts';
import { writeFiles } from '../../../src/io/files.ts';
import { type InspectOptions, inspect } from '../../../src/pipelines/inspect/inspect.ts';
import { quantize } from '../../../src/pipelines/quantize/quantize.ts';
import { graphOf } from '../../core.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();

async function inspected(options: Partial<InspectOptions> = {}) {
  const graph = graphOf(`graph tiny (input_ids: i64[batch, sequence])
  words = gather(table f32[30, 4] #1, input_ids)
  dense = linear(words, w f32[6, 4] #2)
  act = relu(dense)
  more = linear(act, v f32[6, 6] #3)
  sum = add(more, b f32[6] #4)
return out: sum`);
  await writeFiles(folder, onnx.write(graph, { ...onnx.defaults, name: 'm.onnx' }));
  return inspect({ source: join(folder, 'm.onnx'), ...options });
}

test('a summary counts parameters, bytes and ops, most first', async () => {
  const { summary, text } = await inspected();
  expect(summary).toMatchObject({
    architecture: 'tiny',
    parameters: 120 + 24 + 36 + 6,
    bytes: 4 * 186,
    dtypes: ['f32'],
    inputs: ['input_ids'],
    outputs: ['out'],
  });
  expect(summary.ops['linear']).toBe(2);
  expect(Object.values(summary.ops)).toEqual(Object.values(summary.ops).toSorted((a, b) => b - a));
  expect(text).toMatch(/^graph tiny \(input_ids: i64\[batch, sequence\]\)/);
});

test('passes run for a target, or where some are named', async () => {
  const relus = async (options?: Partial<InspectOptions>) => (await inspected(options)).summary.ops['relu'] ?? 0;
  expect(await relus()).toBe(1);
  expect(await relus({ target: 'onnx' })).toBe(0);
  expect(await relus({ target: 'onnx', passes: 'none' })).toBe(1);
  expect(await relus({ passes: 'none,fuse-linear' })).toBe(0);
});

test('the graph for TFLite has fixed shapes and narrow ids', async () => {
  const { text } = await inspected({ target: 'tflite', sequenceLength: 24 });
  expect(text).toMatch(/^graph tiny \(input_ids: i32\[1, 24\]\)/);
});

test('the picture is of what the file stores, or of what is written', async () => {
  const ops = ({ outline }: Awaited<ReturnType<typeof inspected>>) => outline?.nodes.map(({ op }) => op);
  expect((await inspected()).outline).toBeUndefined();
  const stored = await inspected({ outline: true });
  expect(ops(stored)).toContain('relu');
  expect(stored.outline?.weights[0]?.values?.counts).toHaveLength(32);
  expect(JSON.stringify([stored.nodes, stored.weights])).not.toContain('counts');
  expect(ops(await inspected({ outline: true, target: 'onnx' }))).not.toContain('relu');
});

test('values on texts are those of the file, of integers the real numbers that they stand for', async () => {
  const source = 'fixtures/hf-seqcls';
  const calibrate = 'fixtures/mobilebert-demo/sst2-train-256.txt';
  const output = join(folder, 'int8.tflite');
  await quantize({ source, output, scheme: 'int8', calibrate, samples: 16, sequenceLength: 16, scan: false });
  const { outline } = await inspect({ source: output, outline: true, calibrate });
  const stored = outline?.nodes.filter(({ limits }) => limits) ?? [];
  expect(stored.length).toBeGreaterThan(50);
  for (const { name, limits, values } of stored) {
    // What is cut off ends at a limit; a millionth is for sums in f32.
    const slack = 1e-6 * ((limits?.[1] ?? 0) - (limits?.[0] ?? 0));
    expect(values?.least, name).toBeGreaterThanOrEqual((limits?.[0] ?? 1) - slack);
    expect(values?.most, name).toBeLessThanOrEqual((limits?.[1] ?? -1) + slack);
  }
});
