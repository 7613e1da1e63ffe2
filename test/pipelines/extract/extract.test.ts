import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { JsonObject, JsonValue } from '../../../src/formats/json.ts';
import { readF32, type Tensor, takeF32, tensorOf } from '../../../src/ir/tensor.ts';
import { openModel } from '../../../src/opened/open-model.ts';
import { layersOf } from '../../../src/pipelines/evaluate/layer-map.ts';
import { axesOf, layerIn, withLayer } from '../../../src/pipelines/extract/axes.ts';
import { selectChannels } from '../../../src/pipelines/extract/cut-checkpoint.ts';
import { extract } from '../../../src/pipelines/extract/extract.ts';
import { randomImportance } from '../../../src/pipelines/extract/importance.ts';
import { readShape, settingWarnings } from '../../../src/pipelines/extract/shape.ts';
import { writeStudent } from '../../../src/pipelines/write/hugging-face-folder.ts';
import { openCheckpoint } from '../../models/corpus.ts';
import { unpacked } from '../../unpacked.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const TEXTS = 'fixtures/mobilebert-demo/sst2-train-256.txt';
const checkpoint = await openCheckpoint('bert-seqcls');
afterAll(() => checkpoint.close());

function shapeFile(name: string, sizes: object): string {
  const path = join(folder, `${name}.json`);
  writeFileSync(path, JSON.stringify(sizes));
  return path;
}

/** Writes the fixture with the weights of some neurons set to zero where they are read: half of each layer. */
async function halfDeadTeacher(): Promise<string> {
  const tensors = new Map<string, Tensor>(checkpoint.tensors);
  for (const layer of [0, 1]) {
    const name = `bert.encoder.layer.${layer}.output.dense.weight`;
    const { shape } = tensors.get(name) as Tensor;
    const values = takeF32(tensors.get(name) as Tensor);
    for (let i = 0; i < values.length; i++) if ((i % 96) % 2 === layer) values[i] = 0;
    tensors.set(name, tensorOf('f32', shape, values));
  }
  const path = join(folder, 'teacher');
  await writeStudent(path, { ...checkpoint, tensors });
  return path;
}

const teacher = await halfDeadTeacher();
const base = { source: teacher, calibrate: TEXTS, samples: 40 };

test.each(['importance', 'activations'] as const)(
  '%s leaves out the neurons that nothing reads, at no loss',
  async (method) => {
    const output = join(folder, method);
    const result = await extract({ ...base, output, method, shape: shapeFile('half', { intermediate_size: 48 }) });
    expect(result.heldOut).toMatchObject({ agreement: 1, samples: 184 });
    expect(result.heldOut?.sqnrDb).toBeGreaterThan(90);
    expect(result.shape).toEqual({ layers: 2, hidden: 48, intermediate: 48, heads: 4 });
    expect(result.parameters.teacher - result.parameters.student).toBe(2 * 48 * (2 * 48 + 1));
    const student = await openModel(output);
    const { tensor } = student
      .reference()
      .nodes()
      .find(({ name }) => name.endsWith('layer.1.output.dense.weight')) as never;
    const whole = takeF32(checkpoint.tensors.get('bert.encoder.layer.1.output.dense.weight') as Tensor);
    expect([...readF32(tensor)]).toEqual([...whole.filter((_, i) => i % 2 === 0)]);
    student.close();
  },
);

test('random channels lose what fitting brings back', async () => {
  const shape = shapeFile('small', { hidden_size: 36, intermediate_size: 60 });
  const of = (name: string, recover: boolean) =>
    extract({ ...base, samples: 200, output: join(folder, name), method: 'random', recover, shape });
  const [bare, fitted] = [await of('bare', false), await of('fitted', true)];
  expect(bare.refitted).toBe(0);
  // All linears with their biases: six of each layer, pooler and classifier; keys alone add nothing that softmax sees.
  expect(fitted.refitted).toBeGreaterThan(20);
  expect(fitted.heldOut?.sqnrDb).toBeGreaterThan((bare.heldOut?.sqnrDb as number) + 3);
  const config = JSON.parse(readFileSync(join(folder, 'fitted', 'config.json'), 'utf8'));
  expect(config).toMatchObject({
    hidden_size: 36,
    num_attention_heads: 3,
    intermediate_size: 60,
    num_hidden_layers: 2,
  });
  expect(config.architectures).toEqual(checkpoint.config.get('architectures'));
});

test('what the config writes as a float stays one', async () => {
  const configPath = join(folder, 'compact.json');
  writeFileSync(configPath, '{"x":2.0}');
  await writeStudent(join(folder, 'floats'), { ...checkpoint, config: new Map([['x', 2]]), configPath });
  expect(readFileSync(join(folder, 'floats', 'config.json'), 'utf8')).toBe('{\n  "x": 2.0\n}\n');
});

test('one layer of two is the one that was asked for, under its new number', async () => {
  const output = join(folder, 'last');
  const shape = shapeFile('layers', { num_hidden_layers: 1, hidden_act: 'relu' });
  const result = await extract({ source: 'fixtures/bert-seqcls', output, method: 'random', layers: 'last', shape });
  expect(result.layers).toEqual([1]);
  expect(result.warnings).toContain(`${shape}: hidden_act: not taken: students have what the teacher's config says`);
  expect(result.heldOut).toBeUndefined();
  const student = await openModel(output);
  const { tensor } = student
    .reference()
    .nodes()
    .find(({ name }) => name.endsWith('layer.0.output.dense.bias')) as never;
  expect([...readF32(tensor)]).toEqual([
    ...takeF32(checkpoint.tensors.get('bert.encoder.layer.1.output.dense.bias') as Tensor),
  ]);
  student.close();
});

test('weights from scratch are those of the seed and as wide as the config says, norms and biases do nothing', async () => {
  const source = join(folder, 'wide');
  await writeStudent(source, { ...checkpoint, config: new Map([...checkpoint.config, ['initializer_range', 0.05]]) });
  const shape = shapeFile('scratch', { num_hidden_layers: 1, intermediate_size: 60 });
  const weightsOf = async (name: string, seed: number) => {
    const output = join(folder, name);
    const result = await extract({ source, output, method: 'scratch', shape, seed });
    expect(result).toMatchObject({ layers: [], refitted: 0 });
    const student = await openModel(output);
    const found = new Map(
      student
        .reference()
        .nodes()
        .flatMap((node) => ('tensor' in node ? [[node.name, takeF32(node.tensor)]] : [])) as [string, Float32Array][],
    );
    student.close();
    return (end: string) => [
      ...(found.get([...found.keys()].find((key) => key.endsWith(end)) as string) as Float32Array),
    ];
  };
  const [one, again, other] = [await weightsOf('one', 1), await weightsOf('again', 1), await weightsOf('other', 2)];
  const words = one('word_embeddings.weight');
  const mean = words.reduce((sum, value) => sum + value, 0) / words.length;
  const deviation = Math.sqrt(words.reduce((sum, value) => sum + (value - mean) ** 2, 0) / words.length);
  expect(Math.abs(mean)).toBeLessThan(0.003);
  expect(deviation).toBeCloseTo(0.05, 2);
  // Of a normal distribution 4.6 % lie beyond two deviations, of a uniform one none.
  const beyond = words.filter((value) => Math.abs(value) > 0.1).length / words.length;
  expect(Math.abs(beyond - 0.0455)).toBeLessThan(0.01);
  expect(new Set(one('attention.output.LayerNorm.weight'))).toEqual(new Set([1]));
  expect(new Set(one('intermediate.dense.bias'))).toEqual(new Set([0]));
  expect(one('intermediate.dense.weight')).toHaveLength(60 * 48);
  expect(one('query.weight')).not.toEqual(one('key.weight'));
  expect(again('intermediate.dense.weight')).toEqual(one('intermediate.dense.weight'));
  expect(other('intermediate.dense.weight')).not.toEqual(one('intermediate.dense.weight'));
});

test('a config whose initializer_range is no number is refused by its key', async () => {
  const source = join(folder, 'worded');
  await writeStudent(source, {
    ...checkpoint,
    config: new Map([...checkpoint.config, ['initializer_range', 'small']]),
  });
  const shape = shapeFile('worded', { num_hidden_layers: 1 });
  const call = extract({ source, output: join(folder, 'worded-student'), method: 'scratch', shape });
  await expect(call).rejects.toMatchObject({ code: 'MALFORMED' });
  await expect(call).rejects.toThrow(/config\.json: initializer_range: is "small", not a positive number/);
});

test.each([
  ['a graph', { source: unpacked('fixtures/onnx-qa-ts') }, /is a graph, not a checkpoint/],
  ['another family', { source: 'fixtures/distilbert-seqcls' }, /model_type is distilbert/],
  ['sentence-transformers', { source: unpacked('fixtures/family-st-max') }, /is a sentence-transformers folder/],
  [
    'weights that it does not know',
    { source: 'fixtures/family-bert-relkey' },
    /distance_embedding.*does not know its axes/,
  ],
  ['importance without texts', { method: 'importance' }, /--method importance: needs --calibrate/],
  [
    'a fit of new weights',
    { method: 'scratch', recover: true, calibrate: TEXTS },
    /--recover: fits weights to the teacher/,
  ],
  ['a fit without texts', { recover: true }, /--recover: needs --calibrate/],
  ['a folder of other things', { output: 'fixtures/bert-seqcls' }, /holds .* already/],
  ['the folder of the teacher', { source: teacher, output: teacher }, /holds .* already/],
  ['a file as a folder', { output: 'LICENSE' }, /LICENSE: is a file/],
  ['the name of a file', { output: 'student.tfl' }, /student.tfl: extract writes a folder/],
] as const)('refuses %s', async (_, options, problem) => {
  const output = join(folder, 'refused');
  const shape = shapeFile('one', { num_hidden_layers: 1 });
  const call = extract({ source: 'fixtures/bert-seqcls', output, method: 'random', shape, ...options });
  await expect(call).rejects.toThrow(problem);
});

describe('shapes', () => {
  const sizes = { layers: 6, hidden: 384, intermediate: 1536, heads: 12 };

  test('are presets, or the keys of a config, with the teacher for what is left out', () => {
    expect(readShape('xtremedistil-l6-h256', sizes)).toEqual({ layers: 6, hidden: 256, intermediate: 1024 });
    expect(readShape(shapeFile('three', { num_hidden_layers: 3, vocab_size: 5 }), sizes)).toEqual({
      layers: 3,
      hidden: 384,
      intermediate: 1536,
    });
  });

  test.each<[string, object, string | undefined]>([
    ['sizes alone', { num_hidden_layers: 3, num_attention_heads: 12 }, undefined],
    ['what the teacher says too', { num_hidden_layers: 3, hidden_act: 'gelu' }, undefined],
    ['a misspelt size', { num_hidden_layers: 3, hiddensize: 96 }, 'hiddensize'],
    [
      'another activation and other words',
      { num_hidden_layers: 3, hidden_act: 'relu', vocab_size: 9 },
      'hidden_act and vocab_size',
    ],
    ['a MobileBERT', { model_type: 'mobilebert', embedding_size: 16, trigram_input: true }, undefined],
    ['a MobileBERT with an epsilon', { model_type: 'mobilebert', layer_norm_eps: 1 }, 'layer_norm_eps'],
  ])('of %s', (_, shape, left) => {
    const config: JsonObject = new Map<string, JsonValue>([
      ['hidden_act', 'gelu'],
      ['vocab_size', 8],
    ]);
    const path = shapeFile('settings', shape);
    const warning = `${path}: ${left}: not taken: students have what the teacher's config says`;
    expect(settingWarnings(path, config)).toEqual(left === undefined ? [] : [warning]);
  });

  test.each([
    ['no preset', 'bert-tinny', /no such preset/],
    ['more layers', 'xtremedistil-l12-h384', /num_hidden_layers 12: the teacher has 6/],
    ['part of a head', { hidden_size: 100 }, /the teacher's heads have 32 channels/],
    ['heads of another size', { hidden_size: 128, num_attention_heads: 2 }, /is 2, the teacher's heads make 4/],
    ['no size', { vocab_size: 3 }, /says no size/],
    ['a size that is none', { hidden_size: '128' }, /hidden_size: is "128", not a positive integer/],
    ['a list', [1], /not an object/],
  ])('refuse %s', (_, shape, problem) => {
    const text = typeof shape === 'string' ? shape : shapeFile('bad', shape);
    expect(() => readShape(text, sizes)).toThrow(problem);
  });
});

test('layers end with the last one where they are uniform', () => {
  expect(layersOf('uniform', 3, 6)).toEqual([1, 3, 5]);
  expect(layersOf('uniform', 4, 6)).toEqual([1, 2, 4, 5]);
  expect(layersOf('first', 2, 6)).toEqual([0, 1]);
  expect(layersOf('last', 2, 6)).toEqual([4, 5]);
  expect(layersOf(shapeFile('map', { 0: 2, 1: 4 }), 2, 6)).toEqual([2, 4]);
  expect(() => layersOf(shapeFile('map', { 0: 2 }), 2, 6)).toThrow(/names no layer for the student's 1/);
});

test('whole heads are kept by the sum of their channels, and hidden channels are the same in all layers', () => {
  const sizes = { layers: 1, hidden: 6, intermediate: 4, heads: 3 };
  const importance = {
    hidden: Float64Array.of(1, 9, 2, 8, 3, 7),
    heads: [Float64Array.of(5, 0, 2, 2, 3, 3)],
    neurons: [Float64Array.of(1, 4, 3, 2)],
  };
  const { hidden, heads, neurons } = selectChannels(importance, [0], sizes, { hidden: 4, heads: 2, intermediate: 2 });
  expect([...hidden]).toEqual([1, 3, 4, 5]);
  expect([...(heads[0] ?? [])]).toEqual([0, 1, 4, 5]);
  expect([...(neurons[0] ?? [])]).toEqual([1, 2]);
});

test('random worths are those of the seed', () => {
  const sizes = { layers: 2, hidden: 4, intermediate: 6 };
  expect(randomImportance(sizes, 3)).toEqual(randomImportance(sizes, 3));
  expect(randomImportance(sizes, 3)).not.toEqual(randomImportance(sizes, 4));
});

test('names tell axes and layers', () => {
  expect(axesOf('bert.encoder.layer.3.output.dense.weight')).toEqual(['hidden', 'neurons']);
  expect(axesOf('bert.encoder.layer.3.attention.output.dense.weight')).toEqual(['hidden', 'heads']);
  expect(axesOf('encoder.layer.3.attention.output.dense.bias')).toEqual(['hidden']);
  expect(axesOf('bert.encoder.layer.3.attention.self.distance_embedding.weight')).toBeUndefined();
  expect(layerIn('bert.pooler.dense.weight')).toBeUndefined();
  expect(withLayer('bert.encoder.layer.3.output.dense', 11)).toBe('bert.encoder.layer.11.output.dense');
});

test('texts are read from the columns that are named, and that is told', async () => {
  const lines = readFileSync(TEXTS, 'utf8').split('\n').slice(0, 40);
  const file = join(folder, 'columns.csv');
  writeFileSync(file, `id,body\n${lines.map((line, i) => `${i},"${line.replaceAll('"', '')}"`).join('\n')}\n`);
  const notes: string[] = [];
  const asked = { ...base, calibrate: file, samples: 20, shape: shapeFile('named', { intermediate_size: 48 }) };
  await expect(extract({ ...asked, output: join(folder, 'unnamed') })).rejects.toThrow('columns.csv');
  await extract({ ...asked, output: join(folder, 'named'), text: 'body', note: (words) => notes.push(words) });
  expect(notes).toEqual([expect.stringContaining('text from body')]);
});
