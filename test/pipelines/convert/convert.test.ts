import { join } from 'node:path';
import { expect, test } from 'vitest';
import { onnx } from '../../../src/exporters/onnx.ts';
import { writeFiles } from '../../../src/io/files.ts';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import { graphOf } from '../../core.ts';
import { useFakeRuntime } from '../fake-runtime.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();

async function source(): Promise<string> {
  const graph = graphOf(`graph g (input_ids: i64[1, 8], attention_mask: i64[1, 8])
  words = gather(table f32[20, 4] #1, input_ids)
  first = slice(words) {axis: 1, end: 1}
  pooled = reshape(first) {shape: [1, 4]}
  logits = linear(pooled, v f32[3, 4] #3)
return logits: logits`);
  await writeFiles(folder, onnx.write(graph, { ...onnx.defaults, name: 'source.onnx' }));
  return join(folder, 'source.onnx');
}

test('a file is compared with its source itself, where a runtime takes that', async () => {
  const path = await source();
  const fake = useFakeRuntime();
  const { results } = await convert({ source: path, output: join(folder, 'm.tflite'), verify: true });
  expect(results[0]?.verify).toMatchObject({ ok: true, against: 'source' });
  expect(fake.loaded.map((file) => file.path)).toEqual([path, join(folder, 'm.tflite')]);
});

test('probabilities are compared with the softmax of what the source says', async () => {
  const path = await source();
  const fake = useFakeRuntime();
  const options = { output: join(folder, 's.tflite'), softmax: true, verify: true };
  const { results } = await convert({ source: path, ...options });
  expect(results[0]?.outputs).toEqual([{ name: 'probability', type: 'f32[1, 3]' }]);
  expect(results[0]?.verify).toMatchObject({ ok: true, outputs: [{ name: 'probability' }] });
  expect(fake.loaded.map((file) => file.path)).not.toContain(path);
});

test('is not refused what is false or undefined', async () => {
  const evidence = { allowOverlap: false, samples: undefined, seed: undefined };
  await expect(convert({ source: 'none', output: 'x.onnx', ...evidence })).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('is refused evidence that no pass asks for, before the source is read', async () => {
  const columns = [{ text: 'a' }, { pair: 'b' }, { label: 'c' }];
  const choices = [{ samples: 128 }, { seed: 0 }, { allowOverlap: true }];
  for (const evidence of [{ calibrate: 't' }, { data: 't' }, { maxDrop: 1 }, ...choices, ...columns]) {
    const [key = ''] = Object.keys(evidence);
    const flag = key.replace(/[DO]/, (letter) => `-${letter.toLowerCase()}`);
    await expect(convert({ source: 'none', output: 'x.onnx', ...evidence })).rejects.toMatchObject({
      code: 'USAGE',
      message: `--${flag}: no pass is asked for that changes the function`,
    });
  }
});
