import { copyFileSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { onnx } from '../../../src/exporters/onnx.ts';
import { writeFiles } from '../../../src/io/files.ts';
import { readF32, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import { type DiffModelsOptions, diffModels } from '../../../src/pipelines/diff/diff-models.ts';
import { graphOf } from '../../core.ts';
import { useFakeRuntime } from '../fake-runtime.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const path = (name: string) => join(folder, name);

function text(name: string, ...nodes: readonly string[]): string {
  const lines = ['graph g (x: f32[1, 4])', ...nodes.map((node) => `  ${node}`), 'return out: last'];
  writeFileSync(path(name), lines.join('\n'));
  return path(name);
}

async function table(name: string, rows: number): Promise<string> {
  const graph = graphOf(`graph g (input_ids: i64[1, sequence])
  words = gather(table f32[${rows}, 4] #1, input_ids)
return out: words`);
  await writeFiles(folder, onnx.write(graph, { ...onnx.defaults, name }));
  return path(name);
}

describe('sizes', () => {
  const sizeOf = async (a: string, b: string, maxSizeDelta: DiffModelsOptions['maxSizeDelta']) => {
    const { differences } = await diffModels({ a, b, maxSizeDelta });
    return differences.filter(({ kind }) => kind === 'size');
  };

  test('may differ by a share of the first one, either way', async () => {
    const [small, large] = [await table('small.onnx', 100), await table('large.onnx', 300)];
    const [from, to] = [small, large].map((file) => statSync(file).size) as [number, number];
    const share = (to - from) / from;
    expect(await sizeOf(small, large, { share: share + 0.01 })).toEqual([]);
    expect(await sizeOf(small, large, { share: share - 0.01 })).toEqual([
      { kind: 'size', change: 'size', fromBytes: from, toBytes: to, limitBytes: expect.closeTo((share - 0.01) * from) },
    ]);
    expect(await sizeOf(large, small, { share: (to - from) / to + 0.01 })).toEqual([]);
    expect(await sizeOf(large, small, { share: (to - from) / to - 0.01 })).toHaveLength(1);
  });

  test('may differ by so many bytes, and by any where nobody says', async () => {
    const [small, large] = [await table('small.onnx', 100), await table('large.onnx', 300)];
    const bytes = statSync(large).size - statSync(small).size;
    expect(await sizeOf(small, large, { bytes })).toEqual([]);
    expect(await sizeOf(small, large, { bytes: bytes - 1 })).toHaveLength(1);
    expect(await sizeOf(small, large, undefined)).toEqual([]);
  });

  test('of text are those of the weights', async () => {
    const a = text('a.graph', 'last = relu(x)');
    const b = text('b.graph', 'last = add(x, c f32[4] {1, 2, 3, 4})');
    const [difference] = await sizeOf(a, b, { bytes: 15 });
    expect(difference).toMatchObject({ fromBytes: 0, toBytes: 16 });
  });
});

describe('what is ignored', () => {
  const two = () => [
    text('two.graph', 'first = tanh(x)', 'second = sigmoid(first)', 'last = relu(second)'),
    text('none.graph', 'last = relu(x)'),
  ];
  const ignoring = async (...ignore: string[]) => {
    const [a = '', b = ''] = two();
    const { same, ignored, differences } = await diffModels({ a, b, ignore });
    return { same, ignored, differences: differences.length };
  };

  test('is a difference in things that are all ignored, not one in some of them', async () => {
    expect(await ignoring()).toEqual({ same: false, ignored: 0, differences: 1 });
    expect(await ignoring('first')).toEqual({ same: false, ignored: 0, differences: 1 });
    expect(await ignoring('first', 'second')).toEqual({ same: true, ignored: 1, differences: 0 });
  });

  test('is warned of where nothing has such a name', async () => {
    const [a = '', b = ''] = two();
    const { warnings } = await diffModels({ a, b, ignore: ['last', 'frist', 'size', 'sec*', '*thrid'] });
    expect(warnings).toEqual([
      '--ignore frist: neither model has anything of such a name',
      '--ignore *thrid: neither model has anything of such a name',
    ]);
  });

  test('is named by parts of names', async () => {
    expect((await ignoring('f*t', 's*')).same).toBe(true);
    expect((await ignoring('fir', 'sec')).same).toBe(false);
    expect((await ignoring('*')).same).toBe(true);
    // Nothing but * is special.
    expect((await ignoring('f.rst', 'second')).same).toBe(false);
  });
});

test('outputs of a folder with a file in it are those of the graph that was read', async () => {
  const file = await table('alone.onnx', 20);
  mkdirSync(path('folder'), { recursive: true });
  copyFileSync(file, join(path('folder'), 'model.onnx'));
  const fake = useFakeRuntime();
  const { numeric, same } = await diffModels({ a: path('folder'), b: file, numeric: 'runtime' });
  expect(same).toBe(true);
  expect(numeric?.outputs.map(({ isWithin }) => isWithin)).toEqual([true]);
  expect(fake.loaded.map((each) => each.path === file)).toEqual([false, true]);
});

describe('kinds', () => {
  test('that fail are those that were named', async () => {
    const a = text('a.graph', 'last = add(x, c f32[4] {1, 2, 3, 4})');
    const b = text('b.graph', 'last = add(x, c f32[4] {1, 2, 3, 5})');
    const { counts } = await diffModels({ a, b });
    expect(counts).toEqual({ structure: 0, weights: 1, quant: 0, metadata: 0, size: 0, numeric: 0 });
    const same = async (...failOn: NonNullable<DiffModelsOptions['failOn']>) =>
      (await diffModels({ a, b, failOn })).same;
    expect([await same('weights'), await same('structure', 'quant'), await same()]).toEqual([false, true, true]);
  });

  test('of weights are those above the tolerance', async () => {
    const a = await table('a.onnx', 20);
    const graph = graphOf(`graph g (input_ids: i64[1, sequence])
  words = gather(table f32[20, 4] #1, input_ids)
return out: words`);
    const node = graph.nodes().find(({ op }) => op === 'constant') as never;
    graph.replace(node, () => graph.constant(shifted((node as { tensor: never }).tensor), 'table'));
    await writeFiles(folder, onnx.write(graph, { ...onnx.defaults, name: 'shifted.onnx' }));
    const same = async (atol: number) => (await diffModels({ a, b: path('shifted.onnx'), atol })).same;
    expect([await same(0), await same(0.009), await same(0.011)]).toEqual([false, false, true]);
  });
});

/** One value is 0.01 more. */
function shifted(tensor: Tensor): Tensor {
  const values = Float32Array.from(readF32(tensor));
  values[3] = (values[3] as number) + 0.01;
  return tensorOf('f32', tensor.shape, values);
}
