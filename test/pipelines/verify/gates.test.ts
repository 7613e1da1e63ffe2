import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { onnx } from '../../../src/exporters/onnx.ts';
import { writeFiles } from '../../../src/io/files.ts';
import { type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import { type VerifyOptions, verify } from '../../../src/pipelines/verify/verify.ts';
import { runCommand } from '../../commands/run.ts';
import { graphOf } from '../../core.ts';
import { computed, type LoadedFile, useFakeRuntime } from '../fake-runtime.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const path = (name: string) => join(folder, name);

async function write(name: string, outputs: string, shape = '1, sequence'): Promise<void> {
  const graph = graphOf(`graph g (input_ids: i64[${shape}])
  words = gather(table f32[40, 6] #7, input_ids)
  first = slice(words) {axis: 1, end: 1}
  pooled = reshape(first) {shape: [1, 6]}
  logits = linear(pooled, w f32[3, 6] #8)
  score = linear(pooled, v f32[1, 6] #9)
return ${outputs}`);
  await writeFiles(folder, onnx.write(graph, { ...onnx.defaults, name }));
}

beforeAll(async () => {
  for (const name of ['model.onnx', 'reference.onnx']) await write(name, 'logits: logits');
  for (const name of ['score.onnx', 'other-score.onnx']) await write(name, 'score: score');
  await write('two.onnx', 'a: logits, b: logits');
});

/** The model's answers in its nth run as `change` makes them of what it computes. */
function useChanged(change: (values: Float32Array, run: number) => Float32Array, model = 'model.onnx') {
  const name = (file: LoadedFile) => file.path.split('/').at(-1);
  return useFakeRuntime((file, feeds) => {
    const outputs = computed(file, feeds);
    if (name(file) !== model) return outputs;
    return new Map(
      [...outputs].map(([key, tensor]) => {
        const values = new Float32Array(tensor.bytes().slice().buffer);
        return [key, tensorOf('f32', tensor.shape, change(values, file.feeds.length - 1))];
      }),
    );
  });
}

const compare = (options: Partial<VerifyOptions> = {}) =>
  verify({ model: path('model.onnx'), against: path('reference.onnx'), samples: 40, ...options });

/** Answers in so many runs are another class. */
const turned = (count: number) => (values: Float32Array, run: number) =>
  run < count ? values.map((value) => -value) : values;

describe('answers that are no numbers', () => {
  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('are a failure: %d', async (value) => {
    const fake = useChanged((values, run) => (run === 39 ? values.with(1, value) : values));
    const { failures, outputs } = await compare();
    expect(failures).toEqual(['output logits: holds NaN or infinity']);
    expect(outputs[0]?.sqnrDb).toBe(-200);
    expect(fake.open()).toBe(0);
  });

  test('make the exit code 1', async () => {
    useChanged((values) => values.fill(Number.NaN));
    const { code, out } = await runCommand(folder, 'verify', path('model.onnx'), '--against', path('reference.onnx'));
    expect(code).toBe(1);
    expect(out).toContain('FAILED output logits: holds NaN or infinity');
  });

  test('pass no gate, however wide', async () => {
    useChanged((values) => values.fill(Number.NaN), 'score.onnx');
    const { failures, drop } = await compare({
      model: path('score.onnx'),
      against: path('other-score.onnx'),
      maxDrop: 100,
    });
    expect(drop?.points).toBeNaN();
    expect(failures).toEqual([
      'output score: holds NaN or infinity',
      '--max-drop: the loss of correlation of answers cannot be told: an answer is NaN or all zeros',
    ]);
  });
});

describe('--max-drop', () => {
  test('allows what it says, rounding aside, and no more', async () => {
    useChanged(turned(2));
    const held = await compare({ maxDrop: 5 });
    expect(held.agreement).toBe(0.95);
    expect(held).toMatchObject({ failures: [], drop: { of: 'agreement', limit: 5 } });
    useChanged(turned(2));
    expect((await compare({ maxDrop: 4.99 })).failures).toEqual([
      '--max-drop: 5.00 points of agreement are lost, 4.99 may be',
    ]);
  });

  test('is of the correlation for a regression, and says so', async () => {
    useChanged((values, run) => values.map((value) => (run % 2 === 0 ? value : -value)), 'score.onnx');
    const { drop, failures, agreement } = await compare({
      model: path('score.onnx'),
      against: path('other-score.onnx'),
      maxDrop: 1,
    });
    expect(drop?.of).toBe('correlation');
    expect(drop?.points).toBeCloseTo(100 * (1 - (agreement as number)), 9);
    expect(failures).toEqual([expect.stringMatching(/^--max-drop: [\d.]+ points of correlation of answers are lost/)]);
  });

  test('is no gate where it is not given', async () => {
    useChanged(turned(20));
    expect(await compare()).toMatchObject({ failures: [], drop: { points: 50, limit: null } });
  });

  test('needs 32 samples', async () => {
    useFakeRuntime();
    await expect(compare({ maxDrop: 1, samples: 31 })).rejects.toMatchObject({
      code: 'USAGE',
      message: '--max-drop: --samples: 31 samples, 32 are the least',
    });
    expect((await compare({ maxDrop: 1, samples: 32 })).failures).toEqual([]);
  });

  test('of a regression is of the correlation of its answers', async () => {
    useChanged((values) => values.map((value) => -3 * value + 1), 'score.onnx');
    const { drop, agreement } = await compare({ model: path('score.onnx'), against: path('other-score.onnx') });
    expect(agreement).toBeCloseTo(-1, 6);
    expect(drop?.points).toBeCloseTo(200, 4);
  });

  test('refuses a regression whose answers are all alike, and says why', async () => {
    useChanged((values) => values.fill(0.3), 'score.onnx');
    const files = { model: path('score.onnx'), against: path('other-score.onnx') };
    const { agreementOf, failures } = await compare({ ...files, maxDrop: 100 });
    expect(agreementOf).toBe('correlation');
    expect(failures).toEqual([
      '--max-drop: the loss of correlation of answers cannot be told: the answers do not vary',
    ]);
    const { code, out } = await runCommand(folder, 'verify', files.model, '--against', files.against);
    expect(code).toBe(0);
    expect(out).toContain('correlation of answers  cannot be told: the answers do not vary');
  });
});

describe('what is verified', () => {
  test('is said, with what it ran on', async () => {
    useFakeRuntime();
    const found = await compare({ samples: 5, seed: 9, sequenceLength: 12 });
    expect(found).toMatchObject({
      model: { path: path('model.onnx'), runtime: 'onnxruntime 0.0', ran: 'file' },
      against: { path: path('reference.onnx'), ran: 'file' },
      task: 'sequence-classification',
      inputs: { data: null, samples: 5, seed: 9, paddedTo: 12 },
      agreement: 1,
      metrics: null,
      transfer: null,
      lint: null,
      failures: [],
      warnings: [],
    });
    expect(found.outputs).toEqual([
      { name: 'logits', modelName: 'logits', maxAbsError: 0, sqnrDb: null, agreement: 1, choices: 'largest' },
    ]);
  });

  test('runs on 64 sequences where nobody says how many, each once', async () => {
    const fake = useFakeRuntime();
    const { inputs } = await compare({ samples: undefined });
    expect(inputs).toMatchObject({ samples: 64, seed: 1, paddedTo: null });
    expect(fake.loaded.slice(-2).map(({ feeds }) => feeds.length)).toEqual([64, 64]);
    const ids = (file: LoadedFile | undefined) => file?.feeds.map((feed) => (feed.get('input_ids') as Tensor).bytes());
    expect(ids(fake.loaded.at(-2))).toEqual(ids(fake.loaded.at(-1)));
  });

  test('has two outputs of one name each, or the one that both have', async () => {
    useFakeRuntime();
    await expect(compare({ model: path('two.onnx') })).rejects.toMatchObject({ code: 'MISMATCH' });
    const both = await compare({ model: path('two.onnx'), against: path('two.onnx') });
    expect(both.outputs.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(both.task).toBeNull();
  });

  test('is a student in units of its own only where its teacher has norms', async () => {
    useFakeRuntime();
    const layered = async (name: string, norm: string) => {
      const graph = graphOf(`graph g (input_ids: i64[1, sequence])
  words = gather(table f32[40, 2] #7, input_ids)
  scores = matmul(words, words) {transposeB: true}
  p = softmax(scores)
  context = matmul(p, words)
  sum = add(context, words)
  out = ${norm}
return out: out`);
      await writeFiles(folder, onnx.write(graph, { ...onnx.defaults, name }));
    };
    await layered('folded.onnx', 'relu(sum)');
    await layered('normed.onnx', 'layerNorm(sum, g f32[2] {1, 1}, h f32[2] {0, 0})');
    const warned = async (model: string, against: string) =>
      (await compare({ model: path(model), against: path(against), samples: 2, layers: '1:1' })).warnings;
    const folded = "its norms are folded, so its feature maps are in other units than the teacher's";
    expect(await warned('folded.onnx', 'normed.onnx')).toEqual([`${path('folded.onnx')}: ${folded}`]);
    for (const [model, against] of [
      ['folded.onnx', 'folded.onnx'],
      ['normed.onnx', 'folded.onnx'],
      ['normed.onnx', 'normed.onnx'],
    ] as const) {
      expect(await warned(model, against)).toEqual([]);
    }
  });

  test('is closed where a run fails', async () => {
    const fake = useFakeRuntime((file, feeds) => {
      if (file.feeds.length === 3) throw new Error('fails');
      return computed(file, feeds);
    });
    await expect(compare()).rejects.toThrow('fails');
    expect([fake.loaded.length, fake.open()]).toEqual([1, 0]);
  });
});
