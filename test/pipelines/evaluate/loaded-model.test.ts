import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { onnx } from '../../../src/exporters/onnx.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { loadModel, withFolder } from '../../../src/pipelines/evaluate/loaded-model.ts';
import { graphOf } from '../../core.ts';
import { useFakeRuntime } from '../fake-runtime.ts';

const ROW = { inputIds: [1, 2, 3], tokenTypeIds: [0, 0, 1] };

function tagger(shape: string): Graph {
  return graphOf(`graph g (input_ids: i64[${shape}], attention_mask: i64[${shape}])
  logits = gather(table f32[5, 2] #1, input_ids)
return logits: logits`);
}

async function loaded(graph: Graph) {
  const fake = useFakeRuntime();
  await withFolder(async (write) => {
    const path = await write(onnx.write(graph, onnx.defaults));
    const model = await loadModel(path, graph, { task: 'token-classification', pad: 4, mask: undefined });
    const { values } = await model.answer(ROW);
    expect(values).toHaveLength(3 * 2);
    await model.close();
  });
  const feeds = fake.loaded[0]?.feeds[0] ?? new Map();
  return Object.fromEntries(
    [...feeds].map(([name, tensor]) => [name, [...new BigInt64Array(tensor.bytes().slice().buffer)]]),
  );
}

describe('a row reaches a model', () => {
  test('padded where the sequence is fixed', async () => {
    expect(await loaded(tagger('1, 5'))).toEqual({
      input_ids: [1n, 2n, 3n, 4n, 4n],
      attention_mask: [1n, 1n, 1n, 0n, 0n],
    });
  });

  test('as long as it is where it is not', async () => {
    expect(await loaded(tagger('1, sequence'))).toEqual({ input_ids: [1n, 2n, 3n], attention_mask: [1n, 1n, 1n] });
  });

  test('in each row of a batch', async () => {
    expect((await loaded(tagger('2, sequence')))['input_ids']).toEqual([1n, 2n, 3n, 1n, 2n, 3n]);
  });
});

describe('files that are thrown away', () => {
  const files = () => onnx.write(tagger('1, sequence'), onnx.defaults);

  test('lie apart though they have one name, and are gone with their folder', async () => {
    const paths = await withFolder(async (write) => {
      const found = [await write(files()), await write(files())];
      for (const path of found) expect(existsSync(path)).toBe(true);
      expect(new Set(found).size).toBe(2);
      return found;
    });
    for (const path of paths) expect(existsSync(dirname(dirname(path)))).toBe(false);
  });

  test('are gone as well where the work fails', async () => {
    let path = '';
    const work = withFolder(async (write) => {
      path = await write(files());
      throw new Error('half-way');
    });
    await expect(work).rejects.toThrow('half-way');
    expect(existsSync(dirname(dirname(path)))).toBe(false);
  });

  test('are gone where one of them cannot be written', async () => {
    let folder = '';
    const work = withFolder(async (write) => {
      folder = dirname(dirname(await write(files())));
      return write(
        (async function* () {
          yield* files();
          throw new Error('no more');
        })(),
      );
    });
    await expect(work).rejects.toThrow('no more');
    expect(existsSync(folder)).toBe(false);
  });
});

test.each(['logits', 'probability'])(
  'labels of which any number applies are decided in a file of %s',
  async (output) => {
    useFakeRuntime();
    const graph = graphOf(`graph g (input_ids: i64[1, sequence])
  words = gather(table f32[4, 2] {0, 0, 1, -1, 0, 0, 0, 0}, input_ids)
  first = slice(words) {axis: 1, end: 1}
  logits = reshape(first) {shape: [1, 2]}
  probability = sigmoid(logits)
return y: ${output}`);
    await withFolder(async (write) => {
      const reading = { task: 'sequence-classification', logitsKind: 'multi-label', pad: 0, mask: undefined } as const;
      const model = await loadModel(await write(onnx.write(graph, onnx.defaults)), graph, reading);
      expect((await model.answer(ROW)).choices).toEqual([1, 0]);
      await model.close();
    });
  },
);
