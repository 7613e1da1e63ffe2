import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { onnx } from '../../../src/exporters/onnx.ts';
import { tflite } from '../../../src/exporters/tflite.ts';
import { writeFiles } from '../../../src/io/files.ts';
import { integerTensor, readIntegers, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import { type BenchOptions, bench } from '../../../src/pipelines/bench/bench.ts';
import { openBenchModels } from '../../../src/pipelines/bench/models.ts';
import { profileOf } from '../../../src/pipelines/bench/profile.ts';
import { reasonsFor } from '../../../src/pipelines/bench/slower.ts';
import { graphOf } from '../../core.ts';
import { type LoadedFile, useFakeRuntime } from '../fake-runtime.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const scratch = join(folder, 'tmp');
const path = (name: string) => join(folder, name);

/** A model of 24 words whose linear has float weights, or 8-bit ones. */
async function write(name: string, storage: 'f32' | 'i8' = 'f32', shape = 'batch, sequence'): Promise<void> {
  const graph = graphOf(`graph g (input_ids: i64[${shape}], attention_mask: i64[${shape}])
  words = gather(table f32[24, 16] #1, input_ids)
  act = tanh(words)
  out = linear(act, w ${storage}[16, 16]${storage === 'i8' ? ' q(0.5, 0)' : ''} #2)
return out: out`);
  await writeFiles(folder, onnx.write(graph, { ...onnx.defaults, name }));
}

beforeAll(async () => {
  await write('a.onnx');
  await write('b.onnx');
  await write('short.onnx', 'f32', '1, 8');
});

beforeEach(() => {
  mkdirSync(scratch, { recursive: true });
  vi.stubEnv('TMPDIR', scratch);
});
afterEach(() => {
  vi.unstubAllEnvs();
  // ONNX Runtime leaves files of its own.
  expect(readdirSync(scratch).filter((name) => name.startsWith('mbert'))).toEqual([]);
});

const nameOf = (file: LoadedFile) => file.path.split('/').at(-1) as string;

/** What a model's nth run, or its nth loading, takes by clocks of their own. */
interface Costs {
  readonly run?: (name: string, run: number) => { readonly cpu: number; readonly wall: number };
  readonly load?: (name: string, time: number) => number;
}

/** Models are timed by clocks that only their runs and loads move. Each run and load is written down. */
async function timed(models: readonly string[], options: Partial<BenchOptions>, { run, load }: Costs = {}) {
  const clock = { cpu: 0, wall: 0 };
  const runs: string[] = [];
  const loads: string[] = [];
  const fake = useFakeRuntime(
    (file) => {
      const name = nameOf(file);
      const { cpu, wall } = run?.(name, runs.filter((each) => each === name).length) ?? { cpu: 1, wall: 1 };
      clock.cpu += 1000 * cpu;
      clock.wall += wall;
      runs.push(name);
      return new Map();
    },
    (file) => {
      const name = nameOf(file);
      clock.wall += load?.(name, loads.filter((each) => each === name).length) ?? 0;
      loads.push(name);
    },
  );
  vi.spyOn(performance, 'now').mockImplementation(() => clock.wall);
  vi.spyOn(process, 'cpuUsage').mockImplementation((start) => ({ user: clock.cpu - (start?.user ?? 0), system: 0 }));
  const result = await bench({ models: models.map(path), memory: false, ...options });
  expect(fake.open()).toBe(0);
  return { result, runs, loads, fake };
}

describe('what is timed', () => {
  test('are the runs behind the warm-up, of each model by turns', async () => {
    const run = (_: string, time: number) => (time < 2 ? { cpu: 900, wall: 900 } : { cpu: 10, wall: 20 });
    const { result, runs } = await timed(['a.onnx', 'b.onnx'], { runs: 4, warmup: 2 }, { run });
    const flat = (value: number) => ({ low: value, median: value, high: value });
    for (const { cpuMs, wallMs } of result.rows) {
      expect(cpuMs).toEqual(flat(10));
      expect(wallMs).toEqual(flat(20));
    }
    const rounds = Array.from({ length: 6 }, (_, i) => runs.slice(2 * i, 2 * i + 2).map((name) => name[0]));
    expect(rounds).toEqual([
      ['a', 'b'],
      ['b', 'a'],
      ['a', 'b'],
      ['b', 'a'],
      ['a', 'b'],
      ['b', 'a'],
    ]);
  });

  test('is how often the first one is as fast: by what one thread computes, else by what the user waits', async () => {
    const run = (name: string) => (name === 'a.onnx' ? { cpu: 30, wall: 10 } : { cpu: 10, wall: 40 });
    const ratios = async (threads: number) => {
      const { result, fake } = await timed(['a.onnx', 'b.onnx'], { runs: 3, warmup: 0, threads }, { run });
      expect(new Set(fake.loaded.map(({ options }) => options.threads))).toEqual(new Set([threads]));
      return [result.measure, ...result.rows.map(({ ratio }) => ratio)];
    };
    expect(await ratios(1)).toEqual(['cpu', 1, 3]);
    expect(await ratios(2)).toEqual(['wall', 1, 0.25]);
  });

  test('is the middle one of three loads, each model by turns', async () => {
    const load = (name: string, time: number) => (name === 'a.onnx' ? ([500, 20, 30][time] as number) : 7);
    const { result, loads } = await timed(['a.onnx', 'b.onnx'], { runs: 1, warmup: 0 }, { load });
    expect(loads).toEqual(['a.onnx', 'b.onnx', 'a.onnx', 'b.onnx', 'a.onnx', 'b.onnx']);
    expect(result.rows.map(({ loadMs }) => loadMs)).toEqual([30, 7]);
  });

  test('runs thirty times behind three, where nobody says how often', async () => {
    const { result, runs } = await timed(['a.onnx'], {});
    expect([result.runs, result.warmup, runs.length]).toEqual([30, 3, 33]);
  });

  test('reads the same tokens, which all of them have, at the length that one is fixed to', async () => {
    const { fake, result } = await timed(['a.onnx', 'short.onnx'], { runs: 3, warmup: 0 });
    expect(result.rows.map(({ shape }) => shape)).toEqual([
      [1, 8],
      [1, 8],
    ]);
    const read = (name: string) =>
      fake.loaded
        .filter((file) => nameOf(file) === name)
        .flatMap(({ feeds }) => feeds.map((feed) => readIntegers(feed.get('input_ids') as Tensor)));
    expect(read('a.onnx')).toEqual(read('short.onnx'));
    expect(Math.max(...read('a.onnx').flat())).toBeLessThan(24);
    expect(new Set(read('a.onnx').map(String)).size).toBe(3);
  });

  test('reads texts one after the other, round after round', async () => {
    const data = path('texts.txt');
    writeFileSync(data, 'a\nb\nc\n');
    const vocab = path('vocab.txt');
    writeFileSync(vocab, '[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\n');
    const { fake, result } = await timed(['a.onnx', 'short.onnx'], { runs: 4, warmup: 0, data, vocab });
    const read = (name: string) =>
      fake.loaded
        .filter((file) => nameOf(file) === name)
        .flatMap(({ feeds }) => feeds.map((feed) => readIntegers(feed.get('input_ids') as Tensor)));
    expect(read('a.onnx')).toEqual([5, 6, 7, 5].map((id) => [2, id, 3]));
    expect(read('short.onnx')[1]).toEqual([2, 6, 3, 0, 0, 0, 0, 0]);
    expect(result.inputs).toEqual({ data, texts: 3 });
    const fewer = await timed(['a.onnx'], { runs: 1, warmup: 1, data, vocab });
    expect(fewer.result.inputs).toEqual({ data, texts: 2 });
    expect(result.rows.map(({ shape }) => shape)).toEqual([
      [1, 'varies'],
      [1, 8],
    ]);
  });

  test('reads ids that the smallest table has, and positions in order', async () => {
    const graph = graphOf(`graph g (input_ids: i64[1, 8], position_ids: i64[1, 8])
  words = gather(table f32[5, 16] #1, input_ids)
  places = gather(positions f32[8, 16] #2, position_ids)
  out = add(words, places)
return out: out`);
    await writeFiles(folder, onnx.write(graph, { ...onnx.defaults, name: 'places.onnx' }));
    const { fake } = await timed(['a.onnx', 'places.onnx'], { runs: 2, warmup: 0 });
    const feeds = fake.loaded.flatMap((file) => file.feeds);
    expect(Math.max(...feeds.flatMap((feed) => readIntegers(feed.get('input_ids') as Tensor)))).toBeLessThan(5);
    const places = feeds.flatMap((feed) => (feed.has('position_ids') ? [feed.get('position_ids') as Tensor] : []));
    expect(places.map((tensor) => readIntegers(tensor))).toEqual(Array(2).fill([0, 1, 2, 3, 4, 5, 6, 7]));
  });

  test('of another batch is not equal work', async () => {
    await write('pair.onnx', 'f32', '2, 8');
    const { result } = await timed(['short.onnx', 'pair.onnx'], { runs: 1, warmup: 0 });
    expect(result.warnings).toEqual([
      `${path('short.onnx')} runs [1, 8] and ${path('pair.onnx')} runs [2, 8]: their ratio is not one of equal work`,
    ]);
    expect((await timed(['a.onnx', 'short.onnx'], { runs: 1, warmup: 0 })).result.warnings).toEqual([]);
  });
});

describe('a model that is to be timed', () => {
  const opened = (name: string) => openBenchModels(path(name), scratch, { task: undefined, shape: {} }, () => {});

  test('without a table of words gets ids that every vocabulary has', async () => {
    const graph = graphOf(`graph g (input_ids: i64[1, 8])
  words = cast(input_ids) {to: f32}
return out: words`);
    await writeFiles(folder, onnx.write(graph, { ...onnx.defaults, name: 'bare.onnx' }));
    expect(await opened('bare.onnx')).toMatchObject([
      { vocabRows: 100, tokenTypes: 1, maxPositions: 8, storage: 'f32' },
    ]);
    expect(await opened('a.onnx')).toMatchObject([{ vocabRows: 24 }]);
  });

  test('is refused where it is damaged', async () => {
    const graph = graphOf(`graph g (input_ids: i32[1, 8])
  words = gather(table f32[24, 16] #1, input_ids)
return out: words`);
    await writeFiles(folder, tflite.write(graph, { ...tflite.defaults, name: 'whole.tflite' }));
    writeFileSync(path('half.tflite'), readFileSync(path('whole.tflite')).subarray(0, 600));
    writeFileSync(path('half.onnx'), readFileSync(path('a.onnx')).subarray(0, 500));
    expect(await opened('whole.tflite')).toMatchObject([{ vocabRows: 24 }]);
    for (const name of ['half.tflite', 'half.onnx']) {
      await expect(opened(name)).rejects.toMatchObject({ code: 'MALFORMED' });
    }
  });
});

test('a profile is the middle of the runs, a node in a loop as often as it ran', async () => {
  const event = (name: string, dur: number, op: string) => ({
    cat: 'Node',
    name: `${name}_kernel_time`,
    dur,
    args: { op_name: op },
  });
  const events = [
    ...[900, 100, 100].map((us) => event('dense', us, 'Gemm')),
    ...[50, 50, 50, 50, 50, 50].map((us) => event('loop', us, 'Add')),
    { cat: 'Session', name: 'model_run', dur: 5000 },
    { cat: 'Node', name: 'dense_fence_before', dur: 7, args: { op_name: 'Gemm' } },
  ];
  useFakeRuntime(
    () => new Map(),
    ({ options: { profilePath } }) => writeFileSync(`${profilePath}_1.json`, JSON.stringify(events)),
  );
  const feeds = new Map(['input_ids', 'attention_mask'].map((name) => [name, integerTensor('i64', [1, 1], [1, 2])]));
  const profile = await profileOf(path('a.onnx'), [feeds, feeds, feeds], 1);
  expect(profile).toEqual({
    kernelMs: expect.closeTo(0.2),
    ops: [
      { op: 'Gemm', count: 1, ms: 0.1, share: 0.5 },
      { op: 'Add', count: 1, ms: 0.1, share: 0.5 },
    ],
    nodes: [
      { name: 'dense', op: 'Gemm', ms: 0.1, share: 0.5 },
      { name: 'loop', op: 'Add', ms: 0.1, share: 0.5 },
    ],
  });
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
  'a model whose answers hold %d in a single run is pointed out',
  async (odd) => {
    let runs = 0;
    useFakeRuntime((file) => {
      const isBroken = nameOf(file) === 'b.onnx' && runs++ === 4;
      return new Map([
        ['ids', integerTensor('i64', [1, 2])],
        ['logits', tensorOf('f32', [2], Float32Array.of(3e38, isBroken ? odd : -3e38))],
      ]);
    });
    const { warnings } = await bench({ models: [path('a.onnx'), path('b.onnx')], runs: 4, warmup: 1, memory: false });
    expect(warnings).toEqual([expect.stringMatching(/b\.onnx: logits: has NaN or infinite values/)]);
  },
);

test('sessions are closed and nothing stays where a run fails', async () => {
  const fake = useFakeRuntime(() => {
    throw new Error('fails');
  });
  await expect(bench({ models: [path('a.onnx'), path('b.onnx')], memory: false })).rejects.toThrow('fails');
  expect([fake.loaded.length, fake.open()]).toEqual([6, 0]);
});

describe('integers that are slower than floats', () => {
  beforeAll(() => write('i8.onnx', 'i8'));

  /** The optimized graph is the file itself. */
  const optimize = ({ path: from, options: { optimizedModelPath } }: LoadedFile) => {
    if (optimizedModelPath !== undefined) copyFileSync(from, optimizedModelPath);
  };

  async function slower(integerMs: number, float = 'a.onnx') {
    const fake = useFakeRuntime((file) => {
      clock.cpu += 1000 * (nameOf(file) === 'i8.onnx' ? integerMs : 10);
      return new Map();
    }, optimize);
    const clock = { cpu: 0 };
    vi.spyOn(process, 'cpuUsage').mockImplementation((start) => ({ user: clock.cpu - (start?.user ?? 0), system: 0 }));
    const models = [path('i8.onnx'), path(float)];
    const { rows } = await bench({ models, memory: false, runs: 3, warmup: 0, sequenceLength: 8 });
    expect(fake.open()).toBe(0);
    return rows.map((row) => row.slower);
  }

  test('are told with how much, and why', async () => {
    const [reasons = [], none] = await slower(25);
    expect(reasons[0]).toBe(`integers are 2.50 times slower than the floats of ${path('a.onnx')}`);
    expect(reasons).toContainEqual('8 tokens a run leave products little of the time');
    expect(none).toEqual([]);
  });

  test('are none where they take no longer', async () => {
    expect(await slower(10)).toEqual([[], []]);
  });

  test('are not compared with other integers', async () => {
    await write('other.onnx', 'i8');
    expect(await slower(25, 'other.onnx')).toEqual([[], []]);
  });

  test('are asked in a folder that is gone, also where that fails', async () => {
    const [model] = await openBenchModels(path('i8.onnx'), scratch, { task: undefined, shape: {} }, () => {});
    if (model === undefined) throw new Error('nothing was opened');
    useFakeRuntime(undefined, optimize);
    expect(await reasonsFor(model, 64)).toContainEqual('1 MatMulInteger stay apart from their Cast and Mul');
    expect(readdirSync(scratch)).toEqual([]);
    useFakeRuntime(undefined, () => {
      throw new Error('refused');
    });
    await expect(reasonsFor(model, 64)).rejects.toThrow('refused');
    await expect(profileOf(model.path, [], 1)).rejects.toThrow('refused');
    expect(readdirSync(scratch)).toEqual([]);
  });
});
