import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { evidenceOf } from '../../src/options/evidence.ts';
import { passChoice } from '../../src/options/passes.ts';
import { runFor, stageOf, startRun, timedApart, within } from '../../src/options/run.ts';
import { type ShapeOptions, sizesFor } from '../../src/options/shape.ts';
import { Stopwatch } from '../../src/options/stopwatch.ts';
import { type WritingOptions, writingOf } from '../../src/options/writing.ts';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();

describe('sizes', () => {
  const QA = { task: 'qa', maxPositions: 512 } as const;
  const OTHER = { task: 'features', maxPositions: 512 } as const;
  const SHORT = { task: 'qa', maxPositions: 64 } as const;

  test.each<[string, 'onnx' | 'tflite', typeof QA | typeof OTHER | typeof SHORT, ShapeOptions, (number | string)[]]>([
    ['ONNX takes any number of sequences, any length, any choices', 'onnx', QA, {}, ['dynamic', 'dynamic', 'dynamic']],
    ['TFLite takes 384 tokens of question answering', 'tflite', QA, {}, [384, 1, 4]],
    ['TFLite takes 128 tokens of anything else', 'tflite', OTHER, {}, [128, 1, 4]],
    ['a model of fewer positions takes those', 'tflite', SHORT, {}, [64, 1, 4]],
    [
      'what the user says comes first',
      'tflite',
      QA,
      { sequenceLength: 'dynamic', batch: 'dynamic', choices: 2 },
      ['dynamic', 'dynamic', 2],
    ],
    ['and does so for ONNX', 'onnx', SHORT, { sequenceLength: 32, batch: 4, choices: 3 }, [32, 4, 3]],
  ])('%s', (_, target, model, options, [sequenceLength, batch, choices]) => {
    expect(sizesFor(target, model, options)).toEqual({ sequenceLength, batch, choices });
  });

  test('a graph that does not say what it is for has the length of sentences', () => {
    expect(sizesFor('tflite', { task: undefined, maxPositions: 512 }, {}).sequenceLength).toBe(128);
  });
});

describe('evidence', () => {
  test('has as many samples as the step takes, unless the user says how many', () => {
    expect(evidenceOf({ calibrate: 'a' }, 128)).toEqual({
      calibrate: 'a',
      samples: 128,
      seed: undefined,
      data: undefined,
      columns: { text: undefined, pair: undefined, label: undefined },
      allowOverlap: false,
      maxDrop: undefined,
    });
    expect(evidenceOf({ samples: 3, seed: 0, allowOverlap: true, maxDrop: 0 }, 128)).toMatchObject({
      samples: 3,
      seed: 0,
      allowOverlap: true,
      maxDrop: 0,
    });
  });
});

describe('passes', () => {
  const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name);

  test('that change the function are those that were asked for', () => {
    expect(names(passChoice({}).changing)).toEqual([]);
    expect(names(passChoice({ passes: 'gelu-to-relu,fold-no-norm' }).changing)).toEqual(['gelu-to-relu']);
    expect(names(passChoice({ passes: 'gelu-to-relu,-gelu-to-relu' }).changing)).toEqual([]);
  });

  test('are the ones of the target', () => {
    const { select } = passChoice({});
    expect(names(select('onnx'))).toContain('flatten-tokens');
    expect(names(select('tflite'))).not.toContain('flatten-tokens');
    expect(names(passChoice({ passes: 'none,fold-no-norm' }).select('tflite'))).toEqual(['fold-no-norm']);
  });

  test('that are said last count: the user over what comes before, what comes behind over the user', () => {
    const user = passChoice({ passes: '-fold-no-norm,equalize-streams' });
    const has = (choice: typeof user, name: string) => names(choice.select('onnx')).includes(name);
    expect(has(user.before('fold-no-norm,-equalize-streams'), 'fold-no-norm')).toBe(false);
    expect(has(user.before('fold-no-norm,-equalize-streams'), 'equalize-streams')).toBe(true);
    expect(has(user.behind('fold-no-norm,-equalize-streams'), 'fold-no-norm')).toBe(true);
    expect(has(user.behind('fold-no-norm,-equalize-streams'), 'equalize-streams')).toBe(false);
    expect(has(user.before('centre-norms').behind('-centre-norms'), 'centre-norms')).toBe(false);
    expect(has(user, 'centre-norms')).toBe(false);
  });

  test('that changed the function stay named when the list grows', () => {
    const choice = passChoice({ passes: 'gelu-to-relu', distill: 10 }).before('centre-norms').behind('-gelu-to-relu');
    expect(names(choice.changing)).toEqual(['gelu-to-relu']);
    expect(choice.distill).toBe(10);
    expect(names(choice.select('onnx'))).not.toContain('gelu-to-relu');
  });

  test('leave nodes alone whose name fits', () => {
    const named = (name: string) => ({ name }) as never;
    const { keeps } = passChoice({ keep: /layer\.0/ });
    expect([keeps(named('m.layer.0.sum')), keeps(named('m.layer.1.sum'))]).toEqual([true, false]);
    expect(passChoice({}).keeps(named('m.layer.0.sum'))).toBe(false);
    // A table split in two is asked for by its name.
    expect(passChoice({ passes: 'split-embedding', embeddingRank: 8 }).embeddingRank).toBe(8);
  });

  test.each([
    [
      'a width without the pass that has one',
      { embeddingRank: 64 },
      '--embedding-rank: is for --passes split-embedding',
    ],
    [
      'a width for another pass',
      { passes: 'gelu-to-relu', embeddingRank: 64 },
      '--embedding-rank: is for --passes split-embedding',
    ],
    ['training of nothing', { distill: 100 }, '--distill: no pass is asked for that changes the function'],
    ['training behind exact passes', { passes: 'fold-no-norm', distill: 100 }, '--distill: no pass is asked for'],
  ])('refuse %s', (_, options, message) => {
    expect(() => passChoice(options)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(message) }),
    );
  });

  test('of an unknown name are refused', () => {
    expect(() => passChoice({ passes: 'fold-nonorm' })).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('writing', () => {
  test('has defaults', () => {
    expect(writingOf({}, 'm.onnx', 'onnx')).toEqual({
      dtype: 'f32',
      softmax: false,
      outputs: undefined,
      dropTokenTypes: false,
      unusedTokenTypes: false,
      opset: undefined,
      externalData: undefined,
      minRuntime: undefined,
      labels: undefined,
      tokenizer: undefined,
      operators: 'standard',
      dryRun: false,
    });
  });

  test.each<[string, WritingOptions, 'onnx' | 'tflite']>([
    ['softmax', { softmax: true }, 'tflite'],
    ['min-runtime', { minRuntime: '2.14' }, 'tflite'],
    ['opset', { opset: 18 }, 'onnx'],
    ['external-data', { externalData: true }, 'onnx'],
  ])('--%s is for one format, and for a folder of both', (flag, options, wanted) => {
    const other = wanted === 'onnx' ? 'tflite' : 'onnx';
    expect(() => writingOf(options, `m.${other}`, other)).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        message: `--${flag}: is for ${wanted} files, the output is m.${other}`,
      }),
    );
    expect(writingOf(options, `m.${wanted}`, wanted)).toMatchObject(options);
    expect(writingOf(options, 'folder', undefined)).toMatchObject(options);
  });

  test.each([
    ['none', [], '--outputs: names no output'],
    ['one twice', ['logits', 'pooled', 'logits'], '--outputs: names logits twice'],
  ])('refuses %s of the outputs', (_, outputs, problem) => {
    expect(() => writingOf({ outputs }, 'm.onnx', 'onnx')).toThrow(problem);
  });

  test('says no where a flag says no', () => {
    expect(writingOf({ softmax: false, externalData: false }, 'm.tflite', 'tflite')).toMatchObject({ softmax: false });
    expect(writingOf({ softmax: false, externalData: false }, 'm.onnx', 'onnx')).toMatchObject({ externalData: false });
  });

  test.each([
    ['yes\nno\n', ['yes', 'no']],
    ['yes\r\nno', ['yes', 'no']],
    ['yes\n\nno\n', ['yes', '', 'no']],
    ['yes\n\n', ['yes', '']],
  ])('labels %j are one a line', (text, names) => {
    const labels = join(folder, 'labels.txt');
    writeFileSync(labels, text);
    expect(writingOf({ labels }, 'm.onnx', 'onnx').labels).toEqual({ path: labels, names });
  });

  test('a vocabulary is read, and what is not there is told', () => {
    const vocab = join(folder, 'vocab.txt');
    writeFileSync(vocab, 'a\nb\n');
    const vocabulary = writingOf({ vocab }, 'm.onnx', 'onnx').tokenizer?.vocabulary;
    expect([vocabulary?.what, new TextDecoder().decode(vocabulary?.bytes)]).toEqual([vocab, 'a\nb\n']);
    for (const flag of ['vocab', 'labels']) {
      expect(() => writingOf({ [flag]: join(folder, 'none') }, 'm.onnx', 'onnx')).toThrow(
        expect.objectContaining({ code: 'NOT_FOUND' }),
      );
    }
  });
});

describe('a run', () => {
  test('tells its steps, and how much of one is done', () => {
    const told: unknown[] = [];
    const run = startRun({ progress: (...step) => told.push(step) });
    run.progress('reading');
    within(run, 'writing')(1, 2);
    expect(told).toEqual([
      ['reading', undefined, undefined, undefined],
      ['writing', 1, 2, undefined],
    ]);
  });

  test('counts the stages of its plan, those of each file apart', () => {
    const told: unknown[] = [];
    const run = startRun({ progress: (step, _, __, stage) => told.push([step, stage?.number, stage?.of]) });
    run.plan(['read', stageOf('tflite', 'write'), stageOf('onnx', 'write')]);
    run.progress('a');
    runFor('onnx', ['tflite', 'onnx'], run).enter('write');
    run.progress('b');
    runFor('tflite', ['tflite', 'onnx'], timedApart(run)).enter('write');
    run.progress('c');
    run.enter('prove');
    run.progress('d');
    expect(told).toEqual([
      ['a', 1, 3],
      ['b', 3, 3],
      ['c', 2, 3],
      ['d', 2, 3],
    ]);
  });

  test('tells a note once', () => {
    const notes: string[] = [];
    const run = startRun({ note: (text) => notes.push(text) });
    for (const text of ['a', 'b', 'a']) run.note(text);
    expect(notes).toEqual(['a', 'b']);
    expect(() => startRun({}).note('a')).not.toThrow();
  });

  test('ends at the first step behind the abort, with its reason and without telling the step', () => {
    const told: string[] = [];
    const controller = new AbortController();
    const run = startRun({ signal: controller.signal, progress: (step) => told.push(step) });
    run.progress('reading');
    controller.abort(new Error('enough'));
    expect(() => run.progress('writing')).toThrow('enough');
    expect(() => within(timedApart(run), 'calibrating')(1, 2)).toThrow('enough');
    expect(told).toEqual(['reading']);
  });

  test('needs nobody who hears of it', () => {
    expect(() => startRun({}).progress('reading')).not.toThrow();
  });

  test('has times of its own for each file', async () => {
    const run = startRun({});
    const apart = timedApart(run);
    expect(apart.stopwatch).not.toBe(run.stopwatch);
    expect(apart.progress).toBe(run.progress);
  });
});

describe('a stopwatch', () => {
  /** Work that takes so long by a clock of its own. */
  function clocked() {
    let now = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    return (ms: number) => () => {
      now += ms;
      return ms;
    };
  }

  test('adds up what each part took, to whole milliseconds', async () => {
    const taking = clocked();
    const stopwatch = new Stopwatch();
    expect(await stopwatch.time('scanMs', taking(2.4))).toBe(2.4);
    await stopwatch.time('scanMs', async () => taking(3.4)());
    await stopwatch.time('proofMs', taking(7));
    expect(stopwatch.times()).toEqual({ calibrationMs: 0, scanMs: 6, writingMs: 0, proofMs: 7 });
    vi.restoreAllMocks();
  });

  test('counts work that fails as well', async () => {
    const taking = clocked();
    const stopwatch = new Stopwatch();
    const failing = stopwatch.time('writingMs', () => {
      taking(5)();
      throw new Error('the disk is full');
    });
    await expect(failing).rejects.toThrow('the disk is full');
    expect(stopwatch.times().writingMs).toBe(5);
    vi.restoreAllMocks();
  });
});
