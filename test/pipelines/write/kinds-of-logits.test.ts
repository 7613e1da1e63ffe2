import { copyFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openModel } from '../../../src/opened/open-model.ts';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import { quantize } from '../../../src/pipelines/quantize/quantize.ts';
import { verify } from '../../../src/pipelines/verify/verify.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const path = (name: string) => join(folder, name);

/** A copy of a classifier whose config has this problem_type. */
function classifier(type: string): string {
  const copy = path(type);
  cpSync('fixtures/bert-seqcls', copy, { recursive: true });
  const config = JSON.parse(readFileSync(join(copy, 'config.json'), 'utf8'));
  writeFileSync(join(copy, 'config.json'), JSON.stringify({ ...config, problem_type: type }));
  return copy;
}

async function opened(source: string) {
  const model = await openModel(source);
  model.close();
  return model;
}

/** True where --softmax gives a probability for each label, in place of shares that sum to 1. */
async function decidesEachLabel(source: string): Promise<boolean> {
  const output = path('made.tflite');
  await convert({ source, output, softmax: true });
  const nodes = (await opened(output)).reference().nodes();
  return nodes.some(({ op }) => op === 'sigmoid');
}

describe('a classifier of labels, any number of which apply,', () => {
  const source = classifier('multi_label_classification');

  test.each(['onnx', 'tflite'])('stays one in a file of .%s, quantized or not', async (format) => {
    const [written, quantized] = [path(`written.${format}`), path(`quantized.${format}`)];
    await convert({ source, output: written });
    await quantize({ source: written, output: quantized, scheme: 'dynamic' });
    for (const file of [written, quantized]) expect((await opened(file)).logitsKind).toBe('multi-label');
    expect(await decidesEachLabel(written)).toBe(true);
  });

  test('is one as an ONNX file, by the config beside it', async () => {
    const file = join(folder, 'bare/model.onnx');
    await convert({ source: 'fixtures/bert-seqcls', output: file });
    expect((await opened(file)).logitsKind).toBeUndefined();
    expect(await decidesEachLabel(file)).toBe(false);
    copyFileSync(join(source, 'config.json'), join(folder, 'bare/config.json'));
    expect((await opened(file)).logitsKind).toBe('multi-label');
    expect(await decidesEachLabel(file)).toBe(true);
  });

  test('is compared label by label where both are files', async () => {
    const [a, b] = [path('a.onnx'), path('b.tflite')];
    await convert({ source, output: a });
    await convert({ source, output: b, softmax: true, sequenceLength: 16 });
    const { outputs, agreement } = await verify({ model: b, against: a, samples: 8 });
    expect(outputs).toMatchObject([{ name: 'probability', modelName: 'probability', agreement: 1 }]);
    expect(outputs[0]?.maxAbsError).toBeLessThan(1e-5);
    expect(agreement).toBe(1);
  });
});

test('a regression of several numbers stays one, and is refused --softmax', async () => {
  await convert({ source: classifier('regression'), output: path('numbers.onnx') });
  expect((await opened(path('numbers.onnx'))).logitsKind).toBe('regression');
  await expect(decidesEachLabel(path('numbers.onnx'))).rejects.toThrow('--softmax: the model is a regression');
});
