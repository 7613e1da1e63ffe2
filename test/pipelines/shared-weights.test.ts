import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import onnxProto from 'onnx-proto';
import { beforeAll, describe, expect, test } from 'vitest';
import { onnx } from '../../src/exporters/onnx.ts';
import { tflite } from '../../src/exporters/tflite.ts';
import { decodeFlatbuffer } from '../../src/formats/tflite/decode.ts';
import { modelRoot } from '../../src/formats/tflite/generated/model.ts';
import { runPasses } from '../../src/ir/pass.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { buildModel } from '../../src/models/index.ts';
import { selectPasses } from '../../src/passes/index.ts';
import { convert } from '../../src/pipelines/convert/convert.ts';
import { quantize } from '../../src/pipelines/quantize/quantize.ts';
import { randomTensor } from '../core.ts';
import { changed, openCheckpoint } from '../models/corpus.ts';
import { unpacked } from '../unpacked.ts';
import { temporaryFolder } from './written.ts';

const folder = temporaryFolder();
const ALBERT = 'family-albert-seqcls';

describe("a file holds once what ALBERT's layers share", () => {
  /** The fixture's shapes with 32 as 256, 64 as 1024 and 16 as 128: weights that leave the graph's own bytes behind. */
  const GROWN: ReadonlyMap<number, number> = new Map([
    [32, 256],
    [64, 1024],
    [16, 128],
  ]);
  const CONFIG = { hidden_size: 256, intermediate_size: 1024, embedding_size: 128, num_hidden_layers: 12 };

  test.each(['onnx', 'tflite'] as const)(
    '%s: twelve layers take less than a fiftieth more than the checkpoint',
    async (target) => {
      const checkpoint = await openCheckpoint(ALBERT);
      const grown = Object.fromEntries(
        [...checkpoint.tensors].map(([name, { shape }], seed) => {
          const sizes = shape.map((size, axis) => (isPositions(name) && axis === 0 ? size : (GROWN.get(size) ?? size)));
          return [name, randomTensor({ dtype: 'f32', shape: sizes }, seed + 1)];
        }),
      );
      const weights = Object.values(grown).reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
      const { graph } = buildModel(changed(checkpoint, grown, CONFIG), {
        batch: 1,
        sequenceLength: 64,
        indexType: target === 'onnx' ? 'i64' : 'i32',
      });
      checkpoint.close();
      await runPasses(graph, selectPasses(undefined, target));
      const files = target === 'onnx' ? onnx.write(graph, onnx.defaults) : tflite.write(graph, tflite.defaults);
      let bytes = 0;
      for await (const { chunks } of files) for await (const chunk of chunks) bytes += chunk.byteLength;
      expect(bytes).toBeGreaterThan(weights);
      expect(bytes).toBeLessThan(1.02 * weights);
    },
  );

  function isPositions(name: string): boolean {
    return name.endsWith('position_embeddings.weight');
  }
});

describe('integer files hold as many weights for six shared layers as for three', () => {
  let calibrate = '';
  beforeAll(() => {
    const lines = readFileSync('fixtures/mobilebert-demo/sst2-train-256.txt', 'utf8').split('\n').slice(0, 24);
    calibrate = join(folder, 'texts.txt');
    writeFileSync(calibrate, lines.join('\n'));
  });

  /** Constants of a thousand numbers and more, which no bias has here. */
  function countWeights(path: string): number {
    const bytes = readFileSync(path);
    if (path.endsWith('.onnx')) {
      const { graph } = onnxProto.onnx.ModelProto.decode(bytes);
      const sizes = graph?.initializer?.map(({ dims = [] }) => sizeOf((dims ?? []).map(Number))) ?? [];
      return sizes.filter((size) => size >= 1000).length;
    }
    const { buffers = [] } = decodeFlatbuffer(modelRoot, bytes, path);
    return buffers.filter(({ data }) => (data?.length ?? 0) >= 1000).length;
  }

  test.each([
    ['dynamic', 'onnx'],
    ['dynamic', 'tflite'],
    ['int8', 'onnx'],
    ['int8', 'tflite'],
  ] as const)('%s in %s', async (scheme, target) => {
    const counts: number[] = [];
    for (const layers of [3, 6]) {
      const source = join(folder, `albert-${layers}`);
      cpSync(unpacked(`fixtures/${ALBERT}`), source, { recursive: true });
      const config = JSON.parse(readFileSync(join(source, 'config.json'), 'utf8')) as object;
      writeFileSync(join(source, 'config.json'), JSON.stringify({ ...config, num_hidden_layers: layers }));
      const output = join(folder, `${scheme}-${layers}.${target}`);
      const evidence = { calibrate, samples: 24, vocab: 'fixtures/hf-qa/vocab.txt', sequenceLength: 16, scan: false };
      await quantize({ source, output, scheme, ...evidence });
      counts.push(countWeights(output));
    }
    expect(counts[0]).toBeGreaterThan(4);
    expect(counts[1]).toBe(counts[0]);
  });
});

test('the biases that MPNet adds for distances are one constant for all layers', async () => {
  const output = join(folder, 'mpnet.onnx');
  await convert({ source: unpacked('fixtures/family-mpnet-base'), output, sequenceLength: 24 });
  const { graph } = onnxProto.onnx.ModelProto.decode(readFileSync(output));
  const biases = graph?.initializer?.filter(({ dims }) => dims?.map(Number).join() === '4,24,24') ?? [];
  expect(biases.map(({ name }) => name)).toEqual(['encoder.relative_attention_bias']);
  const readers = graph?.node?.filter(({ input }) => input?.includes('encoder.relative_attention_bias')) ?? [];
  expect(readers.map(({ opType }) => opType)).toEqual(['Add']);
});
