import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openModel } from '../../src/opened/open-model.ts';
import { convert } from '../../src/pipelines/convert/convert.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { unpacked } from '../unpacked.ts';

const root = temporaryFolder();
let made = 0;

/** A folder with an ONNX classifier of three classes, or another fixture's graph, and a config beside it. */
function graphWith(config: string | object, fixture = 'onnx-seqcls-optimum'): string {
  const folder = join(root, `${made++}`);
  mkdirSync(folder);
  cpSync(join(unpacked(`fixtures/${fixture}`), 'model.onnx'), join(folder, 'model.onnx'));
  writeFileSync(join(folder, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  return folder;
}

async function labelsOf(source: string): Promise<readonly string[] | undefined> {
  const model = await openModel(source);
  model.close();
  return model.labels;
}

describe('the classes of a graph', () => {
  const id2label = { 0: 'no', 1: 'maybe', 2: 'yes' };

  test('have the names of the config.json beside it', async () => {
    expect(await labelsOf(graphWith({ id2label }))).toEqual(['no', 'maybe', 'yes']);
  });

  test('keep them in TFLite, and from there and from mbert’s own ONNX on', async () => {
    const output = join(root, 'written');
    await convert({ source: graphWith({ id2label }), output });
    expect(await labelsOf(join(output, 'model.tflite'))).toEqual(['no', 'maybe', 'yes']);
    expect(await labelsOf(join(output, 'model.onnx'))).toEqual(['no', 'maybe', 'yes']);
  });

  test.each<[string, string | object, string?]>([
    ['the config has another number of them', { id2label: { 0: 'no', 1: 'yes' } }],
    ['the config has none', { model_type: 'bert' }],
    ['the file of that name is no config', 'not JSON'],
    ['the keys are no numbers', { id2label: { a: 'no', b: 'maybe', c: 'yes' } }],
    ['the outputs are starts and ends of answers', { id2label: { 0: 'no', 1: 'yes' } }, 'onnx-qa-ts'],
  ])('have no names where %s', async (_, config, fixture) => {
    expect(await labelsOf(graphWith(config, fixture))).toBeUndefined();
  });
});

/** A checkpoint of a three-class BERT with another id2label. */
function checkpointWith(id2label: object): string {
  const folder = join(root, `${made++}`);
  cpSync('fixtures/bert-seqcls', folder, { recursive: true });
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as object;
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, id2label }));
  return folder;
}

describe('id2label is read as transformers reads it', () => {
  test.each<[string, object, readonly string[]]>([
    ['numbers as names', { 0: 0, 1: 1, 2: 2 }, ['0', '1', '2']],
    ['truth values as Python writes them', { 0: false, 1: true, 2: 'both' }, ['False', 'True', 'both']],
    ['any order of keys', { 2: 'c', 0: 'a', 1: 'b' }, ['a', 'b', 'c']],
  ])('with %s', async (_, id2label, labels) => {
    const model = await openModel(checkpointWith(id2label));
    model.close();
    expect(model.labels).toEqual(labels);
    expect(model.warnings).toEqual([]);
  });

  test('with a warning where it counts from 1', async () => {
    const folder = checkpointWith({ 1: 'a', 2: 'b', 3: 'c' });
    const model = await openModel(folder);
    model.close();
    expect(model.labels).toEqual(['LABEL_0', 'a', 'b']);
    expect(model.warnings).toEqual([
      `${folder}/config.json: id2label: has 3 entries, but not for all classes: LABEL_0 stands in; there is no class 3 ("c")`,
    ]);
  });

  test('but for keys that are no numbers', async () => {
    await expect(openModel(checkpointWith({ a: 0, b: 1, c: 2 }))).rejects.toMatchObject({
      code: 'MALFORMED',
      message: expect.stringContaining('id2label: has a key that is no number'),
    });
  });
});
