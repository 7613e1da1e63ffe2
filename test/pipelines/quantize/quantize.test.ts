import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openSource } from '../../../src/importers/index.ts';
import { predictXnnpack } from '../../../src/lint/lint-file.ts';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import { type QuantizeOptions, quantize } from '../../../src/pipelines/quantize/quantize.ts';
import {
  at,
  DEEP,
  DEMO,
  demo,
  FEATURES,
  few,
  folder,
  LAYER_NORM,
  labelled,
  lines,
  NO_NORM,
  quantizeTiny,
  short,
  textFile,
} from './small-models.ts';

/** Overwrites every f32 of a tensor in a safetensors file. */
function fillTensor(path: string, name: string, value: number): void {
  const bytes = readFileSync(path);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes));
  const [from, to] = header[name].data_offsets;
  for (let offset = from; offset < to; offset += 4) bytes.writeFloatLE(value, 8 + headerBytes + offset);
  writeFileSync(path, bytes);
}

describe('every scheme', () => {
  test.each([
    ['int8.onnx', 'int8', 40, 'integer-gemms'],
    ['int8.tflite', 'int8', 36, 'integer-graph'],
    ['dynamic.onnx', 'dynamic', 42, 'weights-only'],
    ['dynamic.tflite', 'dynamic', 42, 'weights-only'],
    ['f16.onnx', 'f16', 60, 'f16'],
    ['f16.tflite', 'f16', 60, 'f16'],
    ['int16x8.onnx', 'int16x8', 45, 'integer-gemms'],
    ['int16x8.tflite', 'int16x8', 45, 'integer-graph'],
  ] as const)('%s runs and answers as the float model does', async (output, scheme, decibels, form) => {
    // LiteRT has no fast kernels for 16 bits.
    const isSlow = output === 'int16x8.tflite';
    const { proof, files, form: found, failures } = await demo(output, scheme, isSlow ? short : labelled);
    expect(found).toBe(form);
    expect(proof?.sqnrDb).toBeGreaterThan(decibels);
    expect(proof?.agreement).toBeGreaterThan(0.93);
    expect(proof?.samples).toBe(isSlow ? 8 : 32);
    expect(files[0]?.size).toBe(readFileSync(at(output)).byteLength);
    expect(failures).toEqual([]);
  });

  test('int8 is under a third of the f32 file', async () => {
    await convert({ source: DEMO, output: at('f32.onnx'), sequenceLength: 16 });
    const { files } = await demo('int8.onnx', 'int8');
    // The fixture's table is small beside its biases and its float front; real models have a smaller share of these.
    expect(files[0]?.size).toBeLessThan(0.32 * readFileSync(at('f32.onnx')).byteLength);
  });
});

describe('the proof', () => {
  test('compares each layer, and accuracy where there are labels', async () => {
    const { proof } = await demo('int8.onnx', 'int8');
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

  test('says what each part of the work took', async () => {
    const { times, scan } = await demo('int8.onnx', 'int8');
    for (const ms of Object.values(times)) expect(ms).toBeGreaterThan(0);
    // None is worth a look of its own, and none is kept.
    expect(scan?.togetherDb).toBeGreaterThan(60);
    expect(scan?.sites.filter(({ sqnrDb, kept }) => sqnrDb !== undefined || kept)).toEqual([]);
  });

  test('takes fewer lines where a runtime is slow, and all that are given for it', async () => {
    const options = { scheme: 'int16x8', samples: 16 } as const;
    const files = [
      await quantizeTiny('slow.tflite', options),
      await quantizeTiny('slow.onnx', options),
      await quantizeTiny('given.tflite', { ...options, data: textFile('given.txt', lines.slice(96, 136)) }),
    ];
    expect(files.map(({ proof }) => proof?.samples)).toEqual([32, 48, 40]);
  });

  test('a dynamic TFLite file is proven through its fixed-length twin', async () => {
    const { proof, inputs } = await quantizeTiny('dynamic-length.tflite', {
      scheme: 'int8',
      sequenceLength: 'dynamic',
    });
    expect(inputs[0]?.type).toBe('i32[1, sequence]');
    expect(proof?.sqnrDb).toBeGreaterThan(25);
  });
});

describe('a gate', () => {
  // Features agree by their cosine, so that any rounding at all is a drop.
  const gate = (output: string, options: Partial<QuantizeOptions>) =>
    quantizeTiny(output, { source: FEATURES, scheme: 'int8', scan: true, ...options });

  test('that is not met keeps linears in higher precision, the fewest that it takes', async () => {
    const { proof } = await gate('open.onnx', {});
    const drop = proof?.drop ?? 0;
    expect(drop).toBeGreaterThan(0);
    const {
      failures,
      pareto,
      proof: gated,
      linears,
    } = await gate('gated.onnx', { maxDrop: drop * 0.8, dumpRecipe: at('gated.json') });
    expect(failures).toEqual([]);
    expect(gated?.drop).toBeLessThanOrEqual(drop * 0.8);
    const chosen = pareto?.filter((row) => row.chosen) ?? [];
    expect(chosen).toHaveLength(1);
    expect(chosen[0]?.kept).toBeGreaterThan(0);
    expect(chosen[0]?.kept).toBeLessThan(pareto?.at(-1)?.kept ?? 0);
    expect(linears['w8']).toBeGreaterThanOrEqual(chosen[0]?.kept ?? 0);
    // The recipe is that of the file, not of the first try.
    const again = await gate('recipe.onnx', { recipe: at('gated.json'), scan: false });
    expect(again.linears).toEqual(linears);
  });

  test('that no choice meets makes the answer no', async () => {
    const { failures, pareto } = await gate('closed.onnx', { maxDrop: 0 });
    expect(failures).toEqual([expect.stringContaining('--max-drop 0: ')]);
    expect(pareto?.filter(({ chosen }) => chosen)).toHaveLength(1);
  });

  test('of a size that is passed makes the answer no before anything is run', async () => {
    const { failures, proof } = await gate('large.onnx', { maxDrop: 0, maxSize: 1000 });
    expect(failures).toEqual([expect.stringMatching(/^--max-size 1000: .* was not compared$/)]);
    expect(proof).toBeUndefined();
  });
});

describe('the file', () => {
  test('says how it was made, and is the same when it is made again', async () => {
    await quantizeTiny('first.onnx', { scheme: 'int8' });
    await quantizeTiny('again.onnx', { scheme: 'int8' });
    const bytes = readFileSync(at('first.onnx'));
    expect(bytes.equals(readFileSync(at('again.onnx')))).toBe(true);
    const text = bytes.toString('latin1');
    const [manifest] = /\{"scheme":"int8".*?\}\}?(?=[^"\w,:{[])/s.exec(text) ?? [];
    expect(manifest).toContain('"calibration":{"source":"many.txt","sha256":"');
    expect(manifest).toContain('"count":32,"seed":null}');
    expect(manifest).not.toContain(folder);
  });

  test('names the nodes that a dumped recipe gives the same settings', async () => {
    const recipe = textFile('keep.json', ['[{"match": "layer\\\\.0\\\\.", "op": "linear", "keep": "float"}]']);
    const first = await quantizeTiny('kept.onnx', { scheme: 'int8', recipe, dumpRecipe: at('dump.json') });
    const second = await quantizeTiny('again.onnx', { scheme: 'int8', recipe: at('dump.json'), scan: false });
    expect(first.linears['float']).toBeGreaterThan(5);
    expect(second.linears).toEqual(first.linears);
  });

  test.each(['npu', 'hexagon'] as const)(
    'of a strict target, %s, has integer softmax and mask, and says what stays float',
    async (target) => {
      const { proof, warnings, form } = await quantizeTiny(`${target}.tflite`, {
        source: LAYER_NORM,
        scheme: 'int8',
        target,
      });
      expect(form).toBe('strict-integer-graph');
      expect(proof?.agreement).toBeGreaterThan(0.85);
      expect(warnings).toContainEqual(expect.stringContaining('layerNorm'));
    },
  );

  test('with --io int8 has integer outputs', async () => {
    const { outputs } = await quantizeTiny('io.tflite', { scheme: 'int8', io: 'int8' });
    expect(outputs).toEqual([{ name: 'logits', type: expect.stringMatching(/^i8\[1, \d\]$/) }]);
  });

  test('of integers is one XNNPACK partition, and joins no linears whose ranges may differ', async () => {
    const deep = { source: DEEP, scheme: 'int8', calibrate: few, samples: 16 } as const;
    const { linears } = await quantizeTiny('deep.tflite', deep);
    expect(predictXnnpack(at('deep.tflite')).partitions).toBe(1);
    expect(linears).toEqual({ float: 2, int8: 11 * 15 });
    // Three linears of each layer read what others read, and join where it is asked for.
    const joined = await quantizeTiny('joined.tflite', { ...deep, passes: 'fuse-bottleneck' });
    expect(joined.linears).toEqual({ float: 2, int8: 11 * 12 });
  });

  test('of a NoNorm model has equalized streams', async () => {
    const { passes, proof } = await quantizeTiny('no-norm.onnx', { scheme: 'int8' });
    expect(passes.find(({ name }) => name === 'equalize-streams')?.rewrites).toBeGreaterThan(0);
    expect(proof?.sqnrDb).toBeGreaterThan(25);
  });
});

describe('what is refused', () => {
  test.each([
    [
      'compensated rounding without texts',
      { scheme: 'w4', calibrate: undefined, rounding: 'gptq' },
      'USAGE',
      '--rounding gptq: needs --calibrate FILE',
    ],
    [
      'bias correction without texts',
      { scheme: 'dynamic', calibrate: undefined, biasCorrection: true },
      'USAGE',
      '--bias-correction: needs --calibrate FILE',
    ],
    ['compensated rounding of halves', { scheme: 'f16', rounding: 'gptq' }, 'USAGE', '--rounding gptq: f16 has no'],
    ['scales of halves', { scheme: 'f16', granularity: 'channel' }, 'USAGE', '--granularity: f16 has no scales'],
    ['blocks of 8 bits', { scheme: 'int8', granularity: 'block' }, 'USAGE', '--granularity block: is for --scheme w4'],
    ['int8 without texts', { scheme: 'int8', calibrate: undefined }, 'USAGE', '--scheme int8: needs --calibrate FILE'],
    [
      'a gate without samples',
      { scheme: 'dynamic', calibrate: undefined, maxDrop: 1 },
      'USAGE',
      '--max-drop: needs samples',
    ],
    ['a gate with too few', { scheme: 'int8', maxDrop: 1, samples: 90 }, 'USAGE', '6 samples are left for the proof'],
    ['integer outputs in ONNX', { scheme: 'int8', io: 'int8' }, 'USAGE', '--io int8: is for .tflite files'],
    ['an unknown target', { scheme: 'int8', target: 'dsp' as 'cpu' }, 'USAGE', '--target: there is no target "dsp"'],
    [
      'a target of the other format',
      { scheme: 'int8', target: 'npu' },
      'USAGE',
      '--target npu: takes tflite files, not onnx',
    ],
    ['a recipe for halves', { scheme: 'f16', recipe: 'r.json' }, 'USAGE', '--recipe: f16 has no recipes'],
    ['a missing file', { scheme: 'int8', calibrate: 'nothing.txt' }, 'NOT_FOUND', 'nothing.txt'],
  ] as const)('%s', async (_, options, code, message) => {
    await expect(quantizeTiny('refused.onnx', options)).rejects.toMatchObject({
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
    await expect(quantizeTiny('refused.onnx', { scheme: 'int8', calibrate })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  test('evaluation data that was calibrated on, unless it is allowed', async () => {
    const data = textFile('overlap.txt', [...lines.slice(100, 140), lines[3] as string]);
    await expect(quantizeTiny('overlap.onnx', { scheme: 'dynamic', data })).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('1 of its 41 samples are calibration samples as well, the first is sample 41'),
    });
    const { warnings } = await quantizeTiny('overlap.onnx', { scheme: 'dynamic', data, allowOverlap: true });
    expect(warnings).toContainEqual(expect.stringContaining('1 samples were calibrated on'));
    expect(readFileSync(at('overlap.onnx'), 'latin1')).toContain('"overlap":1');
  });

  test('labels that the model has no class for', async () => {
    const data = textFile('odd.tsv', ['sentence\tlabel', ...lines.slice(100, 140).map((line) => `${line.trim()}\t7`)]);
    await expect(quantizeTiny('refused.onnx', { scheme: 'dynamic', data })).rejects.toMatchObject({
      code: 'MISMATCH',
      message: expect.stringContaining("sample 1: label 7: is none of the model's 3 classes"),
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
    await expect(quantizeTiny('refused.onnx', { scheme: 'int8', vocab })).rejects.toMatchObject({ code: 'MISMATCH' });
  });

  test('a source that is quantized already', async () => {
    await quantizeTiny('source.onnx', { scheme: 'int8' });
    const source = await openSource(at('source.onnx'));
    expect(source.yields).toBe('graph');
    await expect(
      quantize({ source: at('source.onnx'), output: at('twice.onnx'), scheme: 'dynamic' }),
    ).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('is quantized already'),
    });
  });

  test('a model whose values overflow on the texts', async () => {
    const source = at('overflowing');
    cpSync(NO_NORM, source, { recursive: true });
    fillTensor(join(source, 'model.safetensors'), 'mobilebert.encoder.layer.0.intermediate.dense.bias', 3e38);
    await expect(quantizeTiny('refused.onnx', { source, scheme: 'int8' })).rejects.toMatchObject({
      code: 'MISMATCH',
      message: expect.stringContaining('sample 1: its values are infinite or not numbers'),
    });
    expect(existsSync(at('refused.onnx'))).toBe(false);
  });

  test('a recipe of blocks for other than 4 bits', async () => {
    const recipe = textFile('blocks.json', ['[{"match": "layer.0", "op": "linear", "granularity": "block"}]']);
    await expect(quantizeTiny('refused.onnx', { scheme: 'dynamic', recipe })).rejects.toMatchObject({
      code: 'MISMATCH',
      message: expect.stringContaining('is dynamic in blocks, which are for w4'),
    });
  });

  test('a recipe of compensated rounding without texts', async () => {
    const recipe = textFile('gptq.json', ['[{"match": ".", "op": "linear", "rounding": "gptq"}]']);
    const options = { scheme: 'w4', recipe, calibrate: undefined, samples: undefined } as const;
    await expect(quantizeTiny('refused.onnx', options)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('rounding gptq needs --calibrate'),
    });
  });

  test('several scales on a target of one', async () => {
    await expect(
      quantizeTiny('refused.tflite', { scheme: 'int8', target: 'hexagon', granularity: 'channel' }),
    ).rejects.toMatchObject({ code: 'USAGE', message: '--granularity channel: hexagon takes one scale per weight' });
  });

  test('a recipe that fits nothing', async () => {
    const recipe = textFile('nothing.json', ['[{"match": "layer\\\\.9\\\\.", "scheme": "float"}]']);
    await expect(quantizeTiny('refused.onnx', { scheme: 'int8', recipe })).rejects.toMatchObject({ code: 'MISMATCH' });
  });
});

test('a recipe may not mix two kinds of calibrated integers', async () => {
  const recipe = textFile('mixed.json', ['[{"match": "layer\\\\.1\\\\.", "op": "linear", "scheme": "int16x8"}]']);
  await expect(quantizeTiny('refused.onnx', { scheme: 'int8', recipe })).rejects.toMatchObject({
    code: 'MISMATCH',
    hint: 'it may be float, dynamic, w8, w4, int8',
  });
});

describe('what is warned of', () => {
  test('one line to calibrate on, and texts that are cut', async () => {
    const calibrate = textFile('one.txt', [lines.slice(0, 20).join(' ')]);
    const { warnings } = await quantizeTiny('one.onnx', { scheme: 'int8', calibrate, scan: false });
    expect(warnings).toContainEqual(expect.stringContaining('has one sample to calibrate on'));
    expect(warnings).toContainEqual(expect.stringContaining('1 of 1 samples are cut to 16 tokens'));
  });

  test('a range that clips too much, which then is not used', async () => {
    const { warnings, proof } = await quantizeTiny('clipped.onnx', { scheme: 'int8', range: 'entropy' });
    expect(warnings).toContainEqual(
      expect.stringMatching(/--range entropy: gives .* dB on held-out samples.*minmax is used/),
    );
    expect(proof?.sqnrDb).toBeGreaterThan(30);
  });
});
