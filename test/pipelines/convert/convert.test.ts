import { join } from 'node:path';
import { expect, test } from 'vitest';
import { onnx } from '../../../src/exporters/onnx.ts';
import { writeFiles } from '../../../src/io/files.ts';
import { type Tensor, takeF32, tensorOf } from '../../../src/ir/tensor.ts';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import { writeStudent } from '../../../src/pipelines/write/hugging-face-folder.ts';
import { convertText } from '../../../src/reports/text.ts';
import { graphOf } from '../../core.ts';
import { openCheckpoint } from '../../models/corpus.ts';
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

test('a file that sees padding, as scores of attention are far apart, fails and says why', async () => {
  const checkpoint = await openCheckpoint('bert-seqcls');
  const verified = async (name: string, weight: RegExp, factor: number) => {
    const scaled = ([key, tensor]: [string, Tensor]): [string, Tensor] =>
      weight.test(key)
        ? [
            key,
            tensorOf(
              'f32',
              tensor.shape,
              takeF32(tensor).map((x) => x * factor),
            ),
          ]
        : [key, tensor];
    const source = join(folder, name);
    await writeStudent(source, { ...checkpoint, tensors: new Map([...checkpoint.tensors].map(scaled)) });
    return convert({ source, output: join(folder, `${name}.onnx`), verify: true });
  };
  const reason = 'the reason is padding: scores of attention are thousands apart';
  const loud = await verified('loud', /attention\.self\.query\.weight$/, 1e6);
  expect(loud.results[0]?.verify).toMatchObject({ ok: false, seesPadding: true });
  expect(convertText(loud)).toContain(reason);
  // A product that overflows gives NaN, with any mask.
  const other = await verified('other', /(intermediate|output)\.dense\.weight$/, 1e25);
  expect(other.results[0]?.verify).toMatchObject({ ok: false, seesPadding: false });
  expect(convertText(other)).not.toContain(reason);
  checkpoint.close();
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
