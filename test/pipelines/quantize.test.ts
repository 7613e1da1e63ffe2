import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openSource } from '../../src/importers/index.ts';
import { convert } from '../../src/pipelines/convert.ts';
import { type QuantizeOptions, quantize } from '../../src/pipelines/quantize.ts';
import { temporaryFolder } from './written.ts';

/** Four layers with LayerNorm and GELU, trained on SST-2. */
const DEMO = 'fixtures/mobilebert-demo';
const TEXTS = join(DEMO, 'sst2-train-256.txt');
const LABELLED = join(DEMO, 'sst2-dev-200.tsv');
/** Tiny, with NoNorm and ReLU; its weights are random. */
const NO_NORM = 'fixtures/hf-seqcls';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);

/** A file of lines in the temporary folder. */
function textFile(name: string, lines: readonly string[]): string {
  writeFileSync(at(name), `${lines.join('\n')}\n`);
  return at(name);
}

const lines = readFileSync(TEXTS, 'utf8').split('\n');
let few = '';
let labelled = '';
beforeAll(() => {
  few = textFile('few.txt', lines.slice(0, 96));
  labelled = textFile('labelled.tsv', readFileSync(LABELLED, 'utf8').split('\n').slice(0, 41));
});

/** Quantizes the demo model at 32 tokens with 32 samples; the rest of the file proves. */
async function quantizeDemo(output: string, options: Partial<QuantizeOptions> & Pick<QuantizeOptions, 'scheme'>) {
  const { results } = await quantize({
    source: DEMO,
    output: at(output),
    sequenceLength: 32,
    calibrate: few,
    samples: 32,
    ...options,
  });
  const [result] = results;
  if (result === undefined) throw new Error('nothing was written');
  return result;
}

describe('every scheme', () => {
  test.each([
    ['int8.onnx', 'int8', 40, 'integer-gemms'],
    ['int8.tflite', 'int8', 36, 'integer-graph'],
    ['dynamic.onnx', 'dynamic', 42, 'weights-only'],
    ['dynamic.tflite', 'dynamic', 42, 'weights-only'],
    ['f16.onnx', 'f16', 60, 'f16'],
    ['f16.tflite', 'f16', 60, 'f16'],
    ['w4.onnx', 'w4', 18, 'weights-only'],
    ['w4.tflite', 'w4', 15, 'weights-only'],
    ['int16x8.onnx', 'int16x8', 45, 'integer-gemms'],
    ['int16x8.tflite', 'int16x8', 45, 'integer-graph'],
  ] as const)('%s runs and answers as the float model does', async (output, scheme, decibels, form) => {
    const { proof, files, form: found, failures } = await quantizeDemo(output, { scheme });
    expect(found).toBe(form);
    expect(proof?.sqnrDb).toBeGreaterThan(decibels);
    expect(proof?.agreement).toBeGreaterThan(0.93);
    expect(proof?.samples).toBe(32);
    expect(files[0]?.size).toBe(readFileSync(at(output)).byteLength);
    expect(failures).toEqual([]);
  });

  test('int8 is under 28.5 % of the f32 file', async () => {
    await convert({ source: DEMO, output: at('f32.onnx'), sequenceLength: 32 });
    const { files } = await quantizeDemo('small.onnx', { scheme: 'int8' });
    // The fixture's table is small beside its biases and its float front; real models have a smaller share of these.
    expect(files[0]?.size).toBeLessThan(0.32 * readFileSync(at('f32.onnx')).byteLength);
  });
});

describe('the proof', () => {
  test('compares each layer, and accuracy where there are labels', async () => {
    const { proof } = await quantizeDemo('labelled.onnx', { scheme: 'int8', data: labelled });
    expect(proof?.samples).toBe(40);
    expect(proof?.layers.map(({ name }) => /layer\.\d/.exec(name)?.[0])).toEqual([
      'layer.0',
      'layer.1',
      'layer.2',
      'layer.3',
    ]);
    for (const { sqnrDb } of proof?.layers ?? []) expect(sqnrDb).toBeGreaterThan(25);
    expect(proof?.accuracy?.float).toBeGreaterThan(0.7);
    expect(proof?.drop).toBeCloseTo(100 * ((proof?.accuracy?.float ?? 0) - (proof?.accuracy?.quantized ?? 0)), 9);
  });

  test('a dynamic TFLite file is proven through its fixed-length twin', async () => {
    const { proof, inputs } = await quantizeDemo('dynamic-length.tflite', {
      scheme: 'int8',
      sequenceLength: 'dynamic',
    });
    expect(inputs[0]?.type).toBe('i32[1, sequence]');
    expect(proof?.sqnrDb).toBeGreaterThan(36);
  });

  test('a gate that is not met keeps more linears in higher precision, and says no where that is not enough', async () => {
    const gated = await quantizeDemo('gated.onnx', { scheme: 'int8', maxDrop: 100, maxSize: 1000 });
    expect(gated.failures).toEqual([expect.stringContaining('--max-size 1000')]);
    const ruined = textFile('ruin.json', [
      '[{"match": ".", "op": "linear", "granularity": "tensor", "range": "minmax"}]',
    ]);
    const { failures, pareto, proof } = await quantizeDemo('ruined.onnx', {
      scheme: 'int8',
      maxDrop: 0,
      recipe: ruined,
    });
    if (proof && proof.drop > 0) expect(failures).toEqual([expect.stringContaining('--max-drop 0')]);
    else expect(failures).toEqual([]);
    if (pareto) expect(pareto.filter(({ chosen }) => chosen)).toHaveLength(1);
  });
});

describe('the file', () => {
  test('says how it was made, and is the same when it is made again', async () => {
    for (const name of ['a', 'b']) await quantizeDemo(`${name}.onnx`, { scheme: 'int8' });
    expect(readFileSync(at('a.onnx')).equals(readFileSync(at('b.onnx')))).toBe(true);
    const text = readFileSync(at('a.onnx'), 'latin1');
    const [manifest] = /\{"scheme":"int8".*?\}\}?(?=[^"\w,:{[])/s.exec(text) ?? [];
    expect(manifest).toContain('"calibration":{"source":"few.txt","sha256":"');
    expect(manifest).toContain('"count":32,"seed":null}');
    expect(manifest).not.toContain(folder);
  });

  test('names the nodes that a dumped recipe gives the same settings', async () => {
    const recipe = textFile('keep.json', ['[{"match": "layer\\\\.0\\\\.", "op": "linear", "keep": "float"}]']);
    const first = await quantizeDemo('kept.onnx', { scheme: 'int8', recipe, dumpRecipe: at('dump.json') });
    const second = await quantizeDemo('again.onnx', { scheme: 'int8', recipe: at('dump.json'), scan: false });
    expect(first.linears['float']).toBeGreaterThan(10);
    expect(second.linears).toEqual(first.linears);
  });

  test('of a strict target has integer softmax and mask, and says what stays float', async () => {
    const { proof, warnings, form } = await quantizeDemo('npu.tflite', { scheme: 'int8', target: 'npu' });
    expect(form).toBe('strict-integer-graph');
    expect(proof?.agreement).toBeGreaterThan(0.85);
    expect(warnings).toContainEqual(expect.stringContaining('layerNorm'));
  });

  test('with --io int8 has integer outputs', async () => {
    const { outputs } = await quantizeDemo('io.tflite', { scheme: 'int8', io: 'int8', data: undefined });
    expect(outputs).toEqual([{ name: 'logits', type: 'i8[1, 2]' }]);
  });

  test('of a NoNorm model has equalized streams', async () => {
    const { results } = await quantize({
      source: NO_NORM,
      output: at('no-norm.onnx'),
      scheme: 'int8',
      calibrate: few,
      samples: 32,
      sequenceLength: 16,
    });
    expect(results[0]?.passes.find(({ name }) => name === 'equalize-streams')?.rewrites).toBeGreaterThan(0);
    expect(results[0]?.proof?.sqnrDb).toBeGreaterThan(25);
  });
});

describe('what is refused', () => {
  test.each([
    ['int8 without texts', { scheme: 'int8', calibrate: undefined }, 'USAGE', '--scheme int8: needs --calibrate FILE'],
    [
      'a gate without samples',
      { scheme: 'dynamic', calibrate: undefined, maxDrop: 1 },
      'USAGE',
      '--max-drop: needs samples',
    ],
    ['a gate with too few', { scheme: 'int8', maxDrop: 1, samples: 90 }, 'USAGE', '6 samples are left for the proof'],
    ['integer outputs in ONNX', { scheme: 'int8', io: 'int8' }, 'USAGE', '--io int8: is for .tflite files'],
    ['an unknown target', { scheme: 'int8', target: 'dsp' }, 'USAGE', '--target: there is no target "dsp"'],
    [
      'a target of the other format',
      { scheme: 'int8', target: 'npu' },
      'USAGE',
      '--target npu: takes tflite files, not onnx',
    ],
    ['a recipe for halves', { scheme: 'f16', recipe: 'r.json' }, 'USAGE', '--recipe: f16 has no recipes'],
    ['a missing file', { scheme: 'int8', calibrate: 'nothing.txt' }, 'NOT_FOUND', 'nothing.txt'],
  ] as const)('%s', async (_, options, code, message) => {
    await expect(quantizeDemo('refused.onnx', options)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
    expect(existsSync(at('refused.onnx'))).toBe(false);
  });

  test.each([
    ['empty texts', () => textFile('empty.txt', ['', ' ']), 'MALFORMED', 'holds no samples'],
    [
      'texts of nothing that counts',
      () => textFile('blank.txt', Array(8).fill('\u200b')),
      'USAGE',
      'no sample has a token',
    ],
  ] as const)('%s', async (_, make, code, message) => {
    const calibrate = make();
    await expect(quantizeDemo('refused.onnx', { scheme: 'int8', calibrate })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  test('evaluation data that was calibrated on, unless it is allowed', async () => {
    const data = textFile('overlap.txt', [...lines.slice(100, 140), lines[3] as string]);
    await expect(quantizeDemo('overlap.onnx', { scheme: 'dynamic', data })).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('1 of its 41 samples are calibration samples as well, the first is sample 41'),
    });
    const { warnings } = await quantizeDemo('overlap.onnx', { scheme: 'dynamic', data, allowOverlap: true });
    expect(warnings).toContainEqual(expect.stringContaining('1 samples were calibrated on'));
    expect(readFileSync(at('overlap.onnx'), 'latin1')).toContain('"overlap":1');
  });

  test('labels that the model has no class for', async () => {
    const data = textFile('odd.tsv', ['sentence\tlabel', ...lines.slice(100, 140).map((line) => `${line.trim()}\t7`)]);
    await expect(quantizeDemo('refused.onnx', { scheme: 'dynamic', data })).rejects.toMatchObject({
      code: 'MISMATCH',
      message: expect.stringContaining("sample 1: label 7: is none of the model's 2 classes"),
    });
  });

  test('a vocabulary of another model', async () => {
    const vocab = textFile('vocab.txt', [
      '[PAD]',
      '[UNK]',
      '[CLS]',
      '[SEP]',
      ...Array.from({ length: 20000 }, (_, i) => `w${i}`),
    ]);
    await expect(quantizeDemo('refused.onnx', { scheme: 'int8', vocab })).rejects.toMatchObject({ code: 'MISMATCH' });
  });

  test('a source that is quantized already', async () => {
    await quantizeDemo('source.onnx', { scheme: 'int8' });
    const source = await openSource(at('source.onnx'));
    expect(source.yields).toBe('graph');
    await expect(
      quantize({ source: at('source.onnx'), output: at('twice.onnx'), scheme: 'dynamic' }),
    ).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('is quantized already'),
    });
  });

  test('a recipe that fits nothing', async () => {
    const recipe = textFile('nothing.json', ['[{"match": "layer\\\\.9\\\\.", "scheme": "float"}]']);
    await expect(quantizeDemo('refused.onnx', { scheme: 'int8', recipe })).rejects.toMatchObject({ code: 'MISMATCH' });
  });
});

test('a recipe may not mix two kinds of calibrated integers', async () => {
  const recipe = textFile('mixed.json', ['[{"match": "layer\\\\.1\\\\.", "op": "linear", "scheme": "int16x8"}]']);
  await expect(quantizeDemo('refused.onnx', { scheme: 'int8', recipe })).rejects.toMatchObject({
    code: 'MISMATCH',
    hint: 'it may be float, dynamic, w4, int8',
  });
});

describe('what is warned of', () => {
  test('one line to calibrate on, and texts that are cut', async () => {
    const calibrate = textFile('one.txt', [lines.slice(0, 20).join(' ')]);
    const { warnings } = await quantizeDemo('one.onnx', { scheme: 'int8', calibrate, scan: false });
    expect(warnings).toContainEqual(expect.stringContaining('has one sample to calibrate on'));
    expect(warnings).toContainEqual(expect.stringContaining('1 of 1 samples are cut to 32 tokens'));
  });

  test('a range that clips too much, which then is not used', async () => {
    const { warnings, proof } = await quantizeDemo('clipped.onnx', { scheme: 'int8', range: 'entropy' });
    expect(proof?.sqnrDb).toBeGreaterThan(35);
    for (const warning of warnings) expect(warning).toMatch(/minmax is used|few.txt/);
  });
});
