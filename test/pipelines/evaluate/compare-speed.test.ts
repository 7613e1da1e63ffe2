import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { onnx } from '../../../src/exporters/onnx.ts';
import { writeFiles } from '../../../src/io/files.ts';
import { readIntegers, type Tensor } from '../../../src/ir/tensor.ts';
import { compareSpeed } from '../../../src/pipelines/evaluate/compare-speed.ts';
import { graphOf } from '../../core.ts';
import { computed, useFakeRuntime } from '../fake-runtime.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();

const graph = (shape: string) =>
  graphOf(`graph g (input_ids: i64[${shape}], attention_mask: i64[${shape}])
  logits = gather(table f32[5, 2] #1, input_ids)
return logits: logits`);

async function written(name: string, shape: string): Promise<string> {
  await writeFiles(folder, onnx.write(graph(shape), { ...onnx.defaults, name }));
  return join(folder, name);
}

/** The process's clock stands still but for what a run takes: `costs` says so of its number, from 0, and the file. */
async function timed(costs: (run: number, file: 'before' | 'after') => number) {
  let clock = 0;
  const fake = useFakeRuntime((file, feeds) => {
    clock += costs(file.feeds.length - 1, file === fake.loaded[0] ? 'before' : 'after');
    return computed(file, feeds);
  });
  vi.spyOn(process, 'cpuUsage').mockImplementation((start) => ({ user: clock - (start?.user ?? 0), system: 0 }));
  const shape = 'batch, sequence';
  const [before, after] = [await written('before.onnx', shape), await written('after.onnx', shape)];
  return { fake, result: await compareSpeed(before, after, { reference: graph(shape), maxPositions: 32 }) };
}

test('a file that takes half the time is twice as fast, however long its first runs take', async () => {
  const { fake, result } = await timed((run, file) => (file === 'before' ? 200 : run < 3 ? 100_000 : 100));
  expect(result).toEqual({ runtime: 'onnxruntime 0.0', shape: [1, 32], rounds: 40, speedup: 2, quartiles: [2, 2] });
  expect(fake.loaded.map(({ options, feeds }) => [options.threads, feeds.length])).toEqual([
    [1, 43],
    [1, 43],
  ]);
  expect(fake.open()).toBe(0);
});

test('the middle of the ratios counts, with what a quarter of them is below and above', async () => {
  // 40 rounds behind three: ratios of 1 … 40.
  const { result } = await timed((run, file) => (file === 'before' ? run - 2 : 1) * 1000);
  expect(result).toMatchObject({ speedup: 20, quartiles: [10, 30] });
});

test('both run on the same ids, which the table has', async () => {
  const { fake } = await timed(() => 1);
  const [before, after] = fake.loaded.map(({ feeds }) =>
    feeds.map((feed) => readIntegers(feed.get('input_ids') as Tensor)),
  );
  expect(after).toEqual(before);
  expect(Math.max(...(before?.flat() ?? []))).toBeLessThan(5);
  expect(before?.[0]).toHaveLength(32);
});

test('neither stays open where one of them fails', async () => {
  const fake = useFakeRuntime((file, feeds) => {
    if (file.feeds.length === 2) throw new Error('out of memory');
    return computed(file, feeds);
  });
  const path = await written('fails.onnx', '1, 8');
  await expect(compareSpeed(path, path, { reference: graph('1, 8'), maxPositions: 8 })).rejects.toThrow(
    'out of memory',
  );
  expect(fake.open()).toBe(0);
});
