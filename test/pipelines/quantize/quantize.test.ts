import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openSource } from '../../../src/importers/index.ts';
import { graphText } from '../../../src/ir/text.ts';
import { predictXnnpack } from '../../../src/lint/lint-file.ts';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import { type QuantizedFile, type QuantizeOptions, quantize } from '../../../src/pipelines/quantize/quantize.ts';
import { temporaryFolder } from '../written.ts';

/** Four layers with LayerNorm and GELU, trained on SST-2. */
const DEMO = 'fixtures/mobilebert-demo';
/** Two layers each, their weights random: with NoNorm and ReLU, with LayerNorm and GELU, and one that gives features. */
const NO_NORM = 'fixtures/hf-seqcls';
const LAYER_NORM = 'fixtures/bert-seqcls';
const FEATURES = 'fixtures/hf-features';
/** Eleven layers, tiny as well. */
const DEEP = 'fixtures/hf-qa-deep';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);

/** A file of lines in the temporary folder. */
function textFile(name: string, content: readonly string[]): string {
  writeFileSync(at(name), `${content.join('\n')}\n`);
  return at(name);
}

const lines = readFileSync(join(DEMO, 'sst2-train-256.txt'), 'utf8').split('\n');
let few = '';
let many = '';
let labelled = '';
let short = '';
beforeAll(() => {
  few = textFile('few.txt', lines.slice(0, 24));
  many = textFile('many.txt', lines.slice(0, 96));
  const sentences = readFileSync(join(DEMO, 'sst2-dev-200.tsv'), 'utf8').split('\n');
  labelled = textFile('labelled.tsv', sentences.slice(0, 33));
  short = textFile('short.tsv', sentences.slice(0, 9));
});

type Wanted = Partial<QuantizeOptions> & Pick<QuantizeOptions, 'scheme'>;

async function quantizeTo(output: string, options: Wanted & Pick<QuantizeOptions, 'source'>): Promise<QuantizedFile> {
  const { results } = await quantize({ output: at(output), ...options });
  const [result] = results;
  if (result === undefined) throw new Error('nothing was written');
  return result;
}

/** The trained model at 32 tokens, calibrated on 16 lines; labelled sentences prove. */
function quantizeDemo(output: string, options: Wanted): Promise<QuantizedFile> {
  const common = { sequenceLength: 32, calibrate: few, samples: 16, data: labelled };
  return quantizeTo(output, { source: DEMO, ...common, ...options });
}

/** The tiny model at 16 tokens; what the calibration file has left proves. */
function quantizeTiny(output: string, options: Wanted & Partial<QuantizeOptions>): Promise<QuantizedFile> {
  return quantizeTo(output, { source: NO_NORM, sequenceLength: 16, calibrate: many, samples: 32, ...options });
}

/** Overwrites every f32 of a tensor in a safetensors file. */
function fillTensor(path: string, name: string, value: number): void {
  const bytes = readFileSync(path);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes));
  const [from, to] = header[name].data_offsets;
  for (let offset = from; offset < to; offset += 4) bytes.writeFloatLE(value, 8 + headerBytes + offset);
  writeFileSync(path, bytes);
}

/** Each scheme of the trained model once: the tests below look at the same files. */
const made = new Map<string, Promise<QuantizedFile>>();
function demo(output: string, scheme: QuantizeOptions['scheme'], data = labelled): Promise<QuantizedFile> {
  const found = made.get(output) ?? quantizeDemo(output, { scheme, data });
  made.set(output, found);
  return found;
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
    await convert({ source: DEMO, output: at('f32.onnx'), sequenceLength: 32 });
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
    await demo('int8.onnx', 'int8');
    await quantizeDemo('again.onnx', { scheme: 'int8' });
    const bytes = readFileSync(at('int8.onnx'));
    expect(bytes.equals(readFileSync(at('again.onnx')))).toBe(true);
    const text = bytes.toString('latin1');
    const [manifest] = /\{"scheme":"int8".*?\}\}?(?=[^"\w,:{[])/s.exec(text) ?? [];
    expect(manifest).toContain('"calibration":{"source":"few.txt","sha256":"');
    expect(manifest).toContain('"count":16,"seed":null}');
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

/** How many linears of a file have weights of 4 bits, by how many scales these have. */
async function granularities(path: string): Promise<Record<string, number>> {
  const source = await openSource(path);
  if (source.yields !== 'graph') throw new Error(`${path} is no graph`);
  const counts: Record<string, number> = {};
  for (const { op, inputs } of source.graph.nodes()) {
    const { dtype, quant } = inputs[1]?.type ?? {};
    if (op !== 'linear' || (dtype !== 'i4' && dtype !== 'u4') || !quant) continue;
    const kind = quant.per === 'block' ? `block ${quant.size}` : quant.per;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  source.close();
  return counts;
}

describe('4-bit weights', () => {
  test.each([
    ['onnx', undefined, 'block 32'],
    ['onnx', 'channel', 'channel'],
    ['onnx', 'tensor', 'tensor'],
    ['tflite', undefined, 'channel'],
    ['tflite', 'block', 'block 32'],
    ['tflite', 'tensor', 'tensor'],
  ] as const)('in %s with granularity %s run, and are read back as written', async (format, granularity, kind) => {
    const output = `w4-${granularity}.${format}`;
    const { proof, failures, warnings, linears } = await quantizeDemo(output, {
      scheme: 'w4',
      granularity,
      rounding: 'nearest',
      data: short,
    });
    expect(failures).toEqual([]);
    // One scale for all outputs is what is asked for, and a warning.
    const found = warnings.filter((warning) => warning.startsWith(at(output)) && !warning.includes('weight-channels'));
    expect(found).toEqual([]);
    expect(proof?.sqnrDb).toBeGreaterThan(granularity === 'tensor' ? 2 : 13);
    expect(await granularities(at(output))).toEqual({ [kind]: linears['w4'] });
  });

  test.each(['onnx', 'tflite'])('that blocks do not divide have one scale per channel in %s', async (format) => {
    // The outputs of its feed-forward parts read 48 values.
    const output = `fallback.${format}`;
    const { linears, failures } = await quantizeTiny(output, { scheme: 'w4', granularity: 'block' });
    expect(failures).toEqual([]);
    const { channel = 0, ...others } = await granularities(at(output));
    expect(channel).toBeGreaterThan(0);
    expect(channel + Object.values(others).reduce((sum, count) => sum + count, 0)).toBe(linears['w4']);
  });
});

describe('compensated rounding', () => {
  test.each(['onnx', 'tflite'])('is tried for 4 bits in %s, says what it is worth, and is', async (format) => {
    const { rounding, proof, warnings } = await demo(`w4.${format}`, 'w4');
    expect(warnings.filter((warning) => warning.includes('rounding'))).toEqual([]);
    expect(rounding).toMatchObject({ used: 'gptq', samples: 8 });
    const plain = await quantizeDemo(`nearest.${format}`, { scheme: 'w4', rounding: 'nearest' });
    expect(plain.rounding).toBeUndefined();
    expect(proof?.sqnrDb).toBeGreaterThan((plain.proof?.sqnrDb ?? 0) + 3);
  });

  test('gives the same file twice, which says so', async () => {
    const options = { scheme: 'w4', biasCorrection: true, data: short } as const;
    const { rounding, biasCorrection } = await quantizeTiny('w4-first.onnx', options);
    await quantizeTiny('w4-again.onnx', options);
    const bytes = readFileSync(at('w4-first.onnx'));
    expect(bytes.equals(readFileSync(at('w4-again.onnx')))).toBe(true);
    expect(bytes.toString('latin1')).toContain(
      `"rounding":"${rounding?.used}","biasCorrection":${biasCorrection?.used}`,
    );
  });

  test.each(['onnx', 'tflite'])('linears of 4 bits in %s are fitted where that is asked for', async (format) => {
    const options = { scheme: 'w4', data: short } as const;
    const [plain, fitted] = [
      await quantizeTiny(`plain.w4.${format}`, options),
      await quantizeTiny(`refit.w4.${format}`, { ...options, refit: true }),
    ];
    expect(plain.refit).toBeUndefined();
    const { used, samples, fittedDb = 0, plainDb = 0 } = fitted.refit ?? {};
    expect([used, samples]).toEqual([fittedDb > plainDb, 32]);
    const [bytes, others] = [readFileSync(at(`plain.w4.${format}`)), readFileSync(at(`refit.w4.${format}`))];
    expect(bytes.equals(others)).toBe(format === 'tflite' && !used);
    if (format === 'onnx') expect(others.toString('latin1')).toContain(`"refit":${used}`);
    expect(bytes.toString('latin1')).not.toContain('"refit"');
  });

  test('of int8 and dynamic is only tried where it is asked for', async () => {
    for (const scheme of ['int8', 'dynamic'] as const) {
      const { rounding } = await quantizeTiny(`${scheme}.onnx`, { scheme });
      expect(rounding).toBeUndefined();
      const asked = await quantizeTiny(`${scheme}-asked.onnx`, { scheme, rounding: 'gptq', biasCorrection: true });
      expect(asked.rounding?.samples).toBe(32);
      expect(asked.biasCorrection?.samples).toBe(32);
      expect(readFileSync(at(`${scheme}.onnx`), 'latin1')).not.toContain('"rounding"');
    }
  });

  test.each(['int8', 'int16x8'] as const)(
    'and corrected biases leave an %s TFLite file in its form',
    async (scheme) => {
      const output = `all.${scheme}.tflite`;
      const options = { scheme, rounding: 'gptq', biasCorrection: true, data: short } as const;
      const { rounding, biasCorrection, failures, proof } = await quantizeTiny(output, options);
      expect([rounding?.samples, biasCorrection?.samples]).toEqual([32, 32]);
      expect(failures).toEqual([]);
      expect(proof?.sqnrDb).toBeGreaterThan(25);
      if (scheme === 'int8') expect(predictXnnpack(at(output)).partitions).toBe(1);
    },
  );

  test('a recipe gives single linears another rounding', async () => {
    const recipe = textFile('rounding.json', ['[{"match": "layer.0", "op": "linear", "rounding": "nearest"}]']);
    const options = { scheme: 'w4', data: short } as const;
    const { rounding } = await quantizeTiny('mixed.onnx', { ...options, recipe, dumpRecipe: at('mixed.json') });
    expect(rounding?.used).toBe('gptq');
    const dumped: { match: string; rounding?: string }[] = JSON.parse(readFileSync(at('mixed.json'), 'utf8'));
    const roundings = (layer: string) => [
      ...new Set(
        dumped.filter(({ match, rounding: each }) => each && match.includes(layer)).map((rule) => rule.rounding),
      ),
    ];
    expect(roundings('layer\\.0')).toEqual(['nearest']);
    expect(roundings('layer\\.1')).toEqual(['gptq']);
    const all = await quantizeTiny('all.onnx', options);
    expect(rounding?.nearestDb).toBe(all.rounding?.nearestDb);
    expect(rounding?.gptqDb).not.toBe(all.rounding?.gptqDb);
  });
});

describe('what is fitted to samples that are nothing like the held-out ones', () => {
  let odd = '';
  beforeAll(() => {
    // One word is all that is learned from.
    const same = Array.from({ length: 16 }, () => 'the');
    odd = textFile('odd.txt', [...same, ...lines.slice(0, 40)]);
  });

  test('is not used, and both numbers are said', async () => {
    const options = { scheme: 'w4', granularity: 'channel', calibrate: odd } as const;
    const { warnings, rounding, biasCorrection } = await quantizeDemo('odd.onnx', {
      ...options,
      rounding: 'gptq',
      biasCorrection: true,
    });
    expect(rounding?.used).toBe('nearest');
    expect(rounding?.gptqDb).toBeLessThan(rounding?.nearestDb ?? 0);
    expect(warnings).toContainEqual(
      expect.stringMatching(
        /^--rounding gptq: gives [\d.]+ dB on held-out samples, nearest [\d.]+ dB: nearest is used$/,
      ),
    );
    expect(biasCorrection?.used).toBe(false);
    expect(warnings).toContainEqual(
      expect.stringMatching(/^--bias-correction: gives [\d.]+ dB on held-out samples, [\d.]+ dB without: biases stay/),
    );
    // The file is the one of neither.
    await quantizeDemo('odd-plain.onnx', { ...options, rounding: 'nearest' });
    const textOf = async (name: string) => {
      const source = await openSource(at(name));
      return source.yields === 'graph' ? graphText(source.graph) : '';
    };
    expect(await textOf('odd.onnx')).toBe(await textOf('odd-plain.onnx'));
  });

  test('has too few samples to be tried', async () => {
    const calibrate = textFile('sixteen.txt', lines.slice(0, 16));
    const { warnings, rounding } = await quantizeDemo('few.onnx', { scheme: 'w4', calibrate, rounding: 'gptq' });
    expect(rounding).toBeUndefined();
    expect(warnings).toContainEqual(expect.stringContaining('--rounding gptq: is not used, as 0 samples are left'));
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
