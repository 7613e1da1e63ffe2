import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { openSource } from '../../../src/importers/index.ts';
import { undoAll } from '../../../src/io/undo.ts';
import { readF32, type Tensor } from '../../../src/ir/tensor.ts';
import { fittedTexts } from '../../../src/opened/fitted-texts.ts';
import { openModel } from '../../../src/opened/open-model.ts';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import { distill } from '../../../src/pipelines/distill/distill.ts';
import type { DistillOptions } from '../../../src/pipelines/distill/types.ts';
import { extract } from '../../../src/pipelines/extract/extract.ts';
import { quantize } from '../../../src/pipelines/quantize/quantize.ts';
import { verify } from '../../../src/pipelines/verify/verify.ts';
import { distillText } from '../../../src/reports/distill.ts';
import { runCommand } from '../../commands/run.ts';
import { temporaryFolder } from '../written.ts';

const machine = vi.hoisted(() => ({ cores: 2 }));
vi.mock('node:os', async (original) => ({
  ...(await original<typeof import('node:os')>()),
  availableParallelism: () => machine.cores,
}));

const TEACHER = 'fixtures/bert-seqcls';
const TEXTS = 'fixtures/mobilebert-demo/sst2-train-256.txt';

const folder = temporaryFolder();
const path = (name: string) => join(folder, name);

/** One layer of two, a third as many neurons, half of the channels. */
const STUDENT = path('student');

beforeAll(async () => {
  writeFileSync(path('shape.json'), '{ "num_hidden_layers": 1, "hidden_size": 24, "intermediate_size": 32 }');
  await extract({ source: TEACHER, output: STUDENT, shape: path('shape.json'), method: 'random', seed: 1 });
  writeFileSync(path('two.json'), '{ "hidden_size": 24, "intermediate_size": 32 }');
  await extract({ source: TEACHER, output: TWO_LAYERS, shape: path('two.json'), method: 'random', seed: 1 });
});

/** Both layers, half of the channels. */
const TWO_LAYERS = path('two');

function changeConfig(model: string, values: object) {
  const config = join(model, 'config.json');
  writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), ...values }));
}

let outputs = 0;

/** Trains the small student for a few steps. */
function distilled(options: Partial<DistillOptions>) {
  const output = path(`trained-${outputs++}`);
  return distill({ student: STUDENT, teacher: TEACHER, texts: TEXTS, output, steps: 30, rate: 2e-3, ...options });
}

function bytesOf(output: string): Buffer[] {
  return readdirSync(output).map((name) => readFileSync(join(output, name)));
}

test('a student of other sizes comes nearer to its teacher, and all of it is trained', async () => {
  const output = path('nearer');
  const { before, after, layers, projections, stages, watched, texts, files } = await distilled({ output });
  expect((after?.sqnrDb ?? 0) - (before?.sqnrDb ?? 0)).toBeGreaterThan(5);
  expect({ layers, projections, stages, texts }).toEqual({
    layers: [{ student: 0, teacher: 1 }],
    projections: 1,
    stages: [{ name: 'layers and answers', steps: 30 }],
    texts: 128,
  });
  expect(watched.curve.map(({ step }) => step)).toEqual([0, 30]);
  expect(files.map((file) => file.path.slice(output.length + 1))).toContain('model.safetensors');
  const [was, is] = [await openCheckpoint(STUDENT), await openCheckpoint(output)];
  const same = [...was.tensors].filter(([name, tensor]) => isEqual(tensor, is.tensors.get(name) as Tensor));
  // Positions are cut out of their table at run time, which has no gradient.
  expect(same.map(([name]) => name)).toEqual(['bert.embeddings.position_embeddings.weight']);
});

test('layers whose norms were folded away are compared through a map, as their channels have other scales', async () => {
  const teacher = 'fixtures/hf-seqcls';
  const mapped = async (name: string, passes = '') => {
    const student = path(`${name}.onnx`);
    await convert({ source: teacher, output: student, passes: `-hoist-token-slice${passes}` });
    const { projections, layers } = await distilled({
      student,
      teacher,
      output: path(`${name}-trained.onnx`),
      steps: 1,
    });
    expect(layers).toHaveLength(2);
    return projections;
  };
  expect(await mapped('folded')).toBe(2);
  expect(await mapped('unfolded', ',-fold-no-norm')).toBe(0);
});

async function openCheckpoint(source: string) {
  const opened = await openSource(source);
  if (opened.yields === 'graph') throw new Error(`${source} is a graph`);
  return opened.checkpoint;
}

function isEqual(a: Tensor, b: Tensor): boolean {
  return Buffer.compare(Buffer.from(readF32(a).slice().buffer), Buffer.from(readF32(b).slice().buffer)) === 0;
}

test('a folder and a file hold the same student', async () => {
  const output = path('same.onnx');
  await distilled({ output, steps: 3 });
  await distilled({ output: path('same'), steps: 3 });
  const { failures } = await verify({ model: output, against: path('same') });
  expect(failures).toEqual([]);
});

describe('a training that is ended', () => {
  const OPTIONS = { steps: 8, strategy: 'joint', views: ['full', 'masked'] } as const;

  /** Ends a call as a signal does, behind a step. */
  const endedAfter = (step: number, output: string, options: Partial<DistillOptions>) =>
    endedWhere((name, done) => name.startsWith('distilling') && done === step, output, options);

  /** Ends a call as a signal does, where progress says so. */
  async function endedWhere(
    isHere: (name: string, done: number | undefined) => boolean,
    output: string,
    options: Partial<DistillOptions>,
  ) {
    const notes: string[] = [];
    const ended = distilled({
      ...OPTIONS,
      ...options,
      output,
      note: (text) => notes.push(text),
      progress(name, done) {
        if (!isHere(name, done)) return;
        undoAll();
        throw new Error('ended');
      },
    });
    await expect(ended).rejects.toThrow('ended');
    return notes;
  }

  test.each([2, 6])('behind step %i goes on to the same bytes', async (step) => {
    const whole = path(`whole-${step}`);
    await distilled({ ...OPTIONS, output: whole });
    const output = path(`ended-${step}`);
    const notes = await endedAfter(step, output, {});
    expect(notes.at(-1)).toBe(
      `${output}.training: holds the training after ${step} steps; say the same with --resume to go on`,
    );
    expect(existsSync(output)).toBe(false);
    const { stages } = await distilled({ ...OPTIONS, output, resume: true });
    expect(stages.map(({ steps }) => steps)).toEqual([4, 4]);
    expect(bytesOf(output)).toEqual(bytesOf(whole));
    expect(existsSync(`${output}.training`)).toBe(false);
  });

  test('on one core goes on on two, to the same bytes', async () => {
    const [whole, output] = [path('whole-cores'), path('ended-cores')];
    await distilled({ ...OPTIONS, output: whole });
    machine.cores = 1;
    await endedAfter(2, output, {});
    machine.cores = 2;
    await distilled({ ...OPTIONS, output, resume: true });
    expect(bytesOf(output)).toEqual(bytesOf(whole));
  });

  test('while its student is compared has its last step, and goes on to the same bytes', async () => {
    const [whole, output] = [path('whole-8'), path('ended-8')];
    await distilled({ ...OPTIONS, output: whole });
    const notes = await endedWhere((name) => name === 'comparing the student', output, {});
    expect(notes.at(-1)).toContain('holds the training after 8 steps; say the same with --resume');
    expect(existsSync(output)).toBe(false);
    const { stages } = await distilled({ ...OPTIONS, output, resume: true });
    expect(stages.map(({ steps }) => steps)).toEqual([4, 4]);
    expect(bytesOf(output)).toEqual(bytesOf(whole));
    expect(existsSync(`${output}.training`)).toBe(false);
  });

  test('keeps the number of steps that a time was enough for', async () => {
    const output = path('timed');
    const strategy = 'auxiliary' as const;
    const totals = new Set<number | undefined>();
    const ended = distilled({
      output,
      steps: { minutes: 0.015 },
      strategy,
      checkpointEvery: 2,
      progress(name, done, total) {
        if (!name.startsWith('distilling')) return;
        totals.add(total);
        if (done === 3) throw new Error('ended');
      },
    });
    await expect(ended).rejects.toThrow('ended');
    const [steps = 0] = [...totals];
    expect((await distilled({ output, steps: { minutes: 0.015 }, strategy, resume: true })).steps).toBe(steps);
    await distilled({ output: path('counted'), steps, strategy });
    expect(bytesOf(output)).toEqual(bytesOf(path('counted')));
  });

  test('is not gone on from with other options', async () => {
    const output = path('other');
    await endedAfter(2, output, {});
    await expect(distilled({ ...OPTIONS, output, resume: true, seed: 5 })).rejects.toThrow(
      'is of a training with other models, texts or options',
    );
    await expect(distilled({ ...OPTIONS, output })).rejects.toThrow(
      `${output}.training: holds a training that was interrupted`,
    );
  });

  test('leaves no state where none is asked for', async () => {
    const output = path('stateless');
    expect((await endedAfter(2, output, { checkpointEvery: 0 })).join()).not.toContain('--resume');
    expect(existsSync(`${output}.training`)).toBe(false);
  });

  test('is not gone on from where the config of the student says something else', async () => {
    const [student, output] = [path('other-config'), path('other-settings')];
    cpSync(STUDENT, student, { recursive: true });
    await endedAfter(2, output, { student });
    changeConfig(student, { layer_norm_eps: 0.1 });
    const again = distilled({ ...OPTIONS, student, output, resume: true });
    await expect(again).rejects.toThrow('is of a training with other models, texts or options');
  });

  test('keeps a state of every so many steps where nothing can be said at the end', async () => {
    const output = path('killed');
    const killed = distilled({
      ...OPTIONS,
      output,
      checkpointEvery: 2,
      progress(name, done) {
        if (name.startsWith('distilling') && done === 5) throw new Error('killed');
      },
    });
    await expect(killed).rejects.toThrow('killed');
    await distilled({ ...OPTIONS, output, checkpointEvery: 2, resume: true });
    await distilled({ ...OPTIONS, output: path('not-killed') });
    expect(bytesOf(output)).toEqual(bytesOf(path('not-killed')));
  });
});

describe('a student that was fitted to texts', () => {
  const student = path('recovered');
  beforeAll(async () => {
    writeFileSync(path('others.txt'), readFileSync(TEXTS, 'utf8').split('\n').slice(40).join('\n'));
    await extract({
      source: TEACHER,
      output: student,
      shape: path('shape.json'),
      recover: true,
      calibrate: TEXTS,
      samples: 160,
    });
  });

  test('learns from them, and is measured on none of them', async () => {
    const notes: string[] = [];
    const output = path('fitted');
    const { texts, watched, before, warnings } = await distilled({
      student,
      output,
      steps: 2,
      note: (text) => notes.push(text),
    });
    expect(notes).toContain(`${TEXTS}: 160 texts that ${student} was fitted to are learnt from, and not measured on`);
    // Of 256 texts 96 are left: 32 watch, 64 prove.
    expect([texts, watched.samples, before?.samples]).toEqual([160, 63, 64]);
    expect(warnings.join()).not.toContain('was fitted to');
    // What it was fitted to is known of what comes out as well.
    const [manifest, trained, ...more] = await fittedOf(output);
    expect(manifest).toMatchObject({ source: 'sst2-train-256.txt', count: 160, seed: null });
    expect(await fittedOf(student)).toEqual([manifest]);
    expect([trained, more]).toMatchObject([{ count: 160, places: [[0, 160]], watched: [[160, 192]] }, []]);
  });

  test('and trained says so in a folder and in a file, through conversion, and is not measured on what it has seen', async () => {
    const folderOf = path('twice-learnt');
    const file = path('twice-learnt.onnx');
    await distilled({ output: folderOf, steps: 1 });
    await distilled({ output: file, steps: 1 });
    const said = await fittedOf(folderOf);
    expect(said).toMatchObject([
      { source: 'sst2-train-256.txt', count: 128, places: [[0, 128]], watched: [[128, 160]] },
    ]);
    expect(await fittedOf(file)).toEqual(said);
    const converted = path('twice-learnt.tflite');
    await convert({ source: folderOf, output: converted });
    expect(await fittedOf(converted)).toEqual(said);
    // Learnt from and watched by: 160 of 256.
    const seen = `${TEXTS}: ${converted} was fitted to 160 of the 256 samples that it is measured on, or chosen by them: what it gives on them is too good`;
    expect((await verify({ model: converted, against: TEACHER, data: TEXTS })).warnings).toContain(seen);
    const ofOthers = await verify({ model: file, against: TEACHER, data: path('others.txt') });
    expect(ofOthers.warnings.join()).not.toContain('was fitted to');
    // Behind the 20 that it calibrates on and 32 that judge what it chooses come 76 that were learnt from.
    const rounded = { source: folderOf, output: path('rounded.onnx'), scheme: 'dynamic', calibrate: TEXTS } as const;
    expect((await quantize({ ...rounded, samples: 20 })).results[0]?.warnings.join()).toContain(
      'was fitted to 108 of the 204 samples that it is measured on',
    );
    // The same 32 texts watch a second training, and the same 96 prove it.
    const second = await distilled({ student: folderOf, output: path('learnt-again'), steps: 1 });
    expect([second.texts, second.watched.samples, second.before?.samples]).toEqual([128, 63, 96]);
  });

  test('and is converted with passes says both, and warns of --data that it has seen', async () => {
    const source = path('trained-before');
    await distilled({ output: source, steps: 1 });
    const output = path('pruned.onnx');
    const calibrate = path('others.txt');
    const { warnings } = await convert({
      source,
      output,
      passes: 'prune=0.9',
      calibrate,
      samples: 20,
      data: TEXTS,
      allowOverlap: true,
    });
    expect(warnings.join('\n')).toMatch(
      /sst2-train-256\.txt: .* was fitted to 160 of the 256 samples that it is measured on/,
    );
    expect((await fittedOf(output)).map(({ source, count }) => [source, count])).toEqual([
      ['sst2-train-256.txt', 128],
      ['others.txt', 20],
    ]);
  });

  test('is measured on texts of another file with a warning', async () => {
    const { warnings } = await distilled({ student, texts: path('others.txt'), steps: 1 });
    expect(warnings).toContainEqual(
      expect.stringMatching(/recovered: was fitted to 160 texts of sst2-train-256.txt, which is another file: where /),
    );
  });

  test('is not measured on them by --data', async () => {
    const more = { student, texts: path('others.txt'), data: TEXTS, steps: 1 };
    await expect(distilled(more)).rejects.toThrow('are calibration samples as well');
  });

  async function fittedOf(path: string) {
    const model = await openModel(path);
    model.close();
    return fittedTexts(model);
  }
});

test.each(['auxiliary', 'joint', 'progressive'] as const)('%s teaches in its stages', async (strategy) => {
  const { before, after, stages } = await distilled({
    student: TWO_LAYERS,
    strategy,
    steps: 40,
    output: path(`${strategy}.onnx`),
  });
  expect(stages).toEqual(
    {
      auxiliary: [{ name: 'layers and answers', steps: 40 }],
      joint: [
        { name: 'layers', steps: 20 },
        { name: 'answers', steps: 20 },
      ],
      progressive: [
        { name: 'layer 0', steps: 10 },
        { name: 'layer 1', steps: 10 },
        { name: 'answers', steps: 20 },
      ],
    }[strategy],
  );
  expect(after?.sqnrDb).toBeGreaterThan((before?.sqnrDb ?? 0) + 2);
});

test('a student that sees parts of texts learns the answers to all of them', async () => {
  const views = ['full', 'left', 'right', 'masked'] as const;
  const { before, after } = await distilled({ views, steps: 40 });
  expect(after?.sqnrDb).toBeGreaterThan((before?.sqnrDb ?? 0) + 2);
});

test('a student that answers as its teacher has nothing to learn but labels', async () => {
  const lines = readFileSync(TEXTS, 'utf8').trim().split('\n');
  writeFileSync(path('labelled.tsv'), ['text\tlabel', ...lines.map((line) => `${line}\t2`)].join('\n'));
  const options = { student: TEACHER, texts: path('labelled.tsv'), steps: 10 };
  const [without, withLabels] = [await distilled(options), await distilled({ ...options, labels: true })];
  expect([without.steps, without.labelled, without.after?.sqnrDb]).toEqual([0, 0, Number.POSITIVE_INFINITY]);
  expect([withLabels.steps, withLabels.labelled]).toEqual([10, 128]);
  expect(withLabels.after?.sqnrDb).toBeLessThan(30);
});

test('auto ends where held-out texts gain nothing, with the weights that were best', async () => {
  const output = path('auto');
  const options = { steps: 'auto', rate: 1e-12 } as const;
  const progress = (name: string) => {
    // What a signal would leave while the student is written.
    if (name !== 'writing') return;
    undoAll();
    cpSync(`${output}.training`, `${output}-again.training`);
  };
  const { steps, watched, warnings } = await distilled({ ...options, output, progress });
  expect(steps).toBe(375);
  expect(watched.curve).toHaveLength(9);
  const [was, is] = [await openCheckpoint(STUDENT), await openCheckpoint(output)];
  for (const [name, tensor] of was.tensors) expect(isEqual(tensor, is.tensors.get(name) as Tensor)).toBe(true);
  const again = await distilled({ ...options, output: `${output}-again`, resume: true });
  expect(again).toMatchObject({ steps, watched, warnings });
  expect(bytesOf(`${output}-again`)).toEqual(bytesOf(output));
});

test('what was learnt is not measured: a file without other texts has no curve, and no end for auto', async () => {
  writeFileSync(path('few.txt'), readFileSync(TEXTS, 'utf8').split('\n').slice(0, 40).join('\n'));
  const texts = path('few.txt');
  const result = await distilled({ texts, steps: 2 });
  const { watched, before } = result;
  expect(distillText(result)).toContain('there are no held-out texts; give more --texts or --data FILE');
  expect({ watched, before }).toEqual({ watched: { samples: 0, curve: [] }, before: undefined });
  await expect(distilled({ texts, steps: 'auto' })).rejects.toThrow('auto: no text is left');
});

test('weights that are no numbers are refused, and no state of them is left', async () => {
  const output = path('diverged');
  const diverged = distilled({ output, steps: 3, rate: 1e30, checkpointEvery: 1 });
  await expect(diverged).rejects.toThrow('--rate 1e+30: training ended in weights that are no numbers');
  expect([existsSync(output), existsSync(`${output}.training`)]).toEqual([false, false]);
});

test('a student whose classes are in another order is refused', async () => {
  const student = path('other-order');
  cpSync(STUDENT, student, { recursive: true });
  changeConfig(student, { id2label: { 0: 'LABEL_2', 1: 'LABEL_1', 2: 'LABEL_0' } });
  await expect(distilled({ student, steps: 1 })).rejects.toThrow(
    "its classes are LABEL_2, LABEL_1, LABEL_0, the teacher's LABEL_0, LABEL_1, LABEL_2",
  );
  changeConfig(student, { id2label: { 0: 'a', 1: 'b', 2: 'c' } });
  expect((await distilled({ student, steps: 1 })).steps).toBe(1);
});

test.each<[string, Partial<DistillOptions>, string]>([
  ['a student of other words', { student: 'fixtures/minilm-features' }, 'words, the teacher 1000'],
  [
    'a student without the answers',
    { teacher: 'fixtures/hf-qa' },
    'answers logits, the teacher start_logits, end_logits',
  ],
  ['a student with other classes', { student: 'fixtures/tinybert-seqcls' }, "logits has 2 values, the teacher's 3"],
  ['a map of layers that are not there', { layerMap: '3:4' }, 'the student has 1 layers, the teacher 2'],
  [
    'more layers than the teacher has',
    { student: TEACHER, teacher: STUDENT },
    'the student has 2 layers, the teacher 1',
  ],
  ['a folder that holds something', { output: TEACHER }, 'already'],
  [
    'a name that is no model and no folder',
    { output: 'm.tfl' },
    'm.tfl: mbert writes .tflite and .onnx files, not .tfl',
  ],
  ['views that there are not', { views: ['ful' as 'full'] }, '--views: no view is called ful'],
  ['to go on from nothing', { resume: true }, '--resume: there is no '],
  ['too few steps for the stages', { strategy: 'joint', steps: 1 }, '--strategy joint needs 2 at least'],
  ['labels where a file has none', { labels: true }, 'sst2-train-256.txt has none'],
  ['labels of another task', { student: 'fixtures/hf-qa', teacher: 'fixtures/hf-qa', labels: true }, '--labels: '],
  [
    'halves where tokens are answered',
    { student: 'fixtures/hf-qa', teacher: 'fixtures/hf-qa', views: ['left'] },
    '--views left: start_logits answers token by token',
  ],
])('refuses %s', async (_, options, message) => {
  await expect(distilled(options)).rejects.toThrow(message);
});

test('a ModernBERT trains without the biases that it does not have, and its folder holds what its file does', async () => {
  const model = path('modernbert');
  cpSync('fixtures/family-modernbert-seqcls', model, { recursive: true });
  cpSync('fixtures/bert-seqcls/vocab.txt', join(model, 'vocab.txt'));
  const texts = path('labelled-for-modernbert.tsv');
  const lines = readFileSync(TEXTS, 'utf8').trim().split('\n');
  writeFileSync(texts, ['text\tlabel', ...lines.map((line) => `${line}\t1`)].join('\n'));
  const [output, strategy] = [path('modernbert-trained'), { labels: true, layerMap: 'none' }];
  await distilled({ student: model, teacher: model, texts, output, steps: 3, ...strategy });
  const [was, is] = [await openCheckpoint(model), await openCheckpoint(output)];
  expect([...is.tensors.keys()]).toEqual([...was.tensors.keys()]);
  // A whole number is a float where the source's config writes one.
  expect(readFileSync(join(output, 'config.json'), 'utf8')).toContain('"initializer_cutoff_factor": 2.0,');
  const isTrained = (name: string) => !isEqual(was.tensors.get(name) as Tensor, is.tensors.get(name) as Tensor);
  for (const name of is.tensors.keys()) expect([name, isTrained(name)]).toEqual([name, true]);
});

test('a thread that dies ends the command: with its error and exit code, no output and no temporary file', async () => {
  const demo = 'fixtures/mobilebert-demo';
  const [output, temporary] = [path('dead'), path('temporary')];
  mkdirSync(temporary);
  vi.stubEnv('TMPDIR', temporary);
  const post = vi.spyOn(Worker.prototype, 'postMessage').mockImplementationOnce(function (this: Worker) {
    void this.terminate();
  });
  const argv = ['distill', demo, '--teacher', demo, '--texts', `${demo}/sst2-dev-200.tsv`, '--labels', '-o', output];
  const more = ['--steps=2', '--layer-map=none', '--checkpoint-every=1'];
  const { code, out, err } = await runCommand(folder, ...argv, ...more);
  expect(post).toHaveBeenCalled();
  post.mockRestore();
  vi.unstubAllEnvs();
  expect([code, out]).toEqual([70, '']);
  expect(err).toContain('a thread of the training ended with code 1');
  expect([existsSync(output), existsSync(`${output}.training`)]).toEqual([false, false]);
  expect(readdirSync(temporary)).toEqual([]);
});
