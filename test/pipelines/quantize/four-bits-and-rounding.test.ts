import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { openSource } from '../../../src/importers/index.ts';
import { graphText } from '../../../src/ir/text.ts';
import { predictXnnpack } from '../../../src/lint/lint-file.ts';
import { at, demo, lines, quantizeDemo, quantizeTiny, short, textFile } from './small-models.ts';

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
    ['onnx', 18],
    ['tflite', 15],
  ] as const)('in %s answer as the float model does', async (format, decibels) => {
    const { proof, form, failures } = await demo(`w4.${format}`, 'w4');
    expect(form).toBe('weights-only');
    expect(proof?.sqnrDb).toBeGreaterThan(decibels);
    expect(proof?.agreement).toBeGreaterThan(0.93);
    expect(failures).toEqual([]);
  });

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
    const options = { scheme: 'w4', granularity: 'channel', calibrate: odd, data: short } as const;
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
    const { warnings, rounding } = await quantizeTiny('few.onnx', {
      scheme: 'w4',
      calibrate,
      samples: 16,
      rounding: 'gptq',
    });
    expect(rounding).toBeUndefined();
    expect(warnings).toContainEqual(expect.stringContaining('--rounding gptq: is not used, as 0 samples are left'));
  });
});
