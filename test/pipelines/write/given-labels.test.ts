import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openModel } from '../../../src/opened/open-model.ts';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import { writeFolder } from '../../../src/pipelines/folder/write-folder.ts';
import { quantize } from '../../../src/pipelines/quantize/quantize.ts';
import { temporaryFolder } from '../written.ts';

const CLASSIFIER = 'fixtures/bert-seqcls';
const folder = temporaryFolder();
let made = 0;

function labelFile(content: string | Uint8Array): string {
  const path = join(folder, `labels-${made++}.txt`);
  writeFileSync(path, content);
  return path;
}

async function labelsIn(path: string): Promise<readonly string[] | undefined> {
  const model = await openModel(path);
  model.close();
  return model.labels;
}

const NAMES = ['bad', 'so-so', 'good'];

describe('--labels', () => {
  const labels = labelFile(`\uFEFF${NAMES.join('\r\n')}\r\n`);

  test.each(['onnx', 'tflite'])('are what an .%s file says of itself', async (format) => {
    const output = join(folder, `named.${format}`);
    await convert({ source: CLASSIFIER, output, labels });
    expect(await labelsIn(output)).toEqual(NAMES);
  });

  test('are what a quantized ONNX file says of itself', async () => {
    const output = join(folder, 'quantized.onnx');
    await quantize({ source: CLASSIFIER, output, scheme: 'dynamic', labels });
    expect(await labelsIn(output)).toEqual(NAMES);
  });

  test.each(['transformers.js', 'sentence-transformers'] as const)('are in the config.json for %s', async (layout) => {
    const output = join(folder, `for ${layout}/`);
    const { sideFiles } = await writeFolder({ source: CLASSIFIER, output, layout, labels });
    const config = JSON.parse(readFileSync(join(output, 'config.json'), 'utf8'));
    const own = JSON.parse(readFileSync(join(CLASSIFIER, 'config.json'), 'utf8'));
    expect(config).toEqual({
      ...own,
      id2label: { 0: 'bad', 1: 'so-so', 2: 'good' },
      label2id: { bad: 0, 'so-so': 1, good: 2 },
    });
    expect(sideFiles).toContainEqual(expect.objectContaining({ path: 'config.json', from: undefined }));
    expect(await labelsIn(join(output, 'onnx/model.onnx'))).toEqual(NAMES);
  });

  test.each<[string, string, string | Uint8Array, RegExp]>([
    ['of another number than there are classes', CLASSIFIER, 'yes\nno\n', /has 2 labels, the model has 3 classes$/],
    ['of a model of features', 'fixtures/minilm-features', 'yes\nno\n', /has 2 labels, and the model no such classes$/],
    ['of spans', 'fixtures/mini-qa', 'yes\nno\n', /has 2 labels, and the model no such classes$/],
    ['that are not UTF-8', CLASSIFIER, Uint8Array.of(0xe9, 10, 98, 10, 99, 10), /is not UTF-8 text$/],
  ])('are refused %s', async (_, source, content, message) => {
    for (const format of ['onnx', 'tflite']) {
      const output = join(folder, `refused.${format}`);
      await expect(convert({ source, output, labels: labelFile(content) })).rejects.toThrow(message);
    }
  });
});
