import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readF32, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import { mapLayers } from '../../../src/pipelines/map-layers/map-layers.ts';
import { writeStudent } from '../../../src/pipelines/write/hugging-face-folder.ts';
import { openCheckpoint } from '../../models/corpus.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const TEXTS = 'fixtures/mobilebert-demo/sst2-train-256.txt';
const BERT = 'fixtures/bert-seqcls';
const checkpoint = await openCheckpoint('bert-seqcls');
afterAll(() => checkpoint.close());

const compared = (student: string, fitness?: 'function') =>
  mapLayers({ teacher: BERT, student, calibrate: TEXTS, samples: 80, fitness });

/** The same function with its channels in the opposite order: the axes of each weight that are channels. */
function reversed(name: string, tensor: Tensor): Tensor {
  const width = checkpoint.config.get('hidden_size') as number;
  const isRows = /attention.output.dense|\.output\.dense|LayerNorm|pooler/.test(name);
  const isColumns = /embeddings\.[a-z_]*embeddings|self|intermediate|pooler|classifier/.test(name);
  const [rows = 1, columns = 1] = tensor.shape.length > 1 ? tensor.shape : [tensor.shape[0], 1];
  const values = readF32(tensor);
  const turned = values.map((_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    const other = [
      isRows && rows === width ? rows - 1 - row : row,
      isColumns && columns === width ? columns - 1 - column : column,
    ];
    return values[(other[0] as number) * columns + (other[1] as number)] as number;
  });
  return tensorOf('f32', tensor.shape, turned);
}

describe('a student whose channels are in another order', () => {
  const student = join(folder, 'reversed');

  beforeAll(async () => {
    const tensors = new Map([...checkpoint.tensors].map(([name, tensor]) => [name, reversed(name, tensor)]));
    await writeStudent(student, { ...checkpoint, tensors });
  });

  test('does the same in its own coordinates, which a linear leads to', async () => {
    const { functionErrors, mappings } = await compared(student);
    for (const layer of [0, 1]) {
      expect(functionErrors?.[layer]?.[layer]).toBeGreaterThan(0);
      expect(functionErrors?.[layer]?.[layer]).toBeLessThan(0.02);
      expect(functionErrors?.[layer]?.[1 - layer]).toBeGreaterThan(0.2);
    }
    expect(mappings[0]).toMatchObject({ method: 'best', map: [0, 1] });
  });
});

describe('a student that takes texts in a fixed size', () => {
  const student = join(folder, 'fixed.onnx');
  beforeAll(() =>
    convert({ source: BERT, output: student, batch: 1, sequenceLength: 32, passes: '-hoist-token-slice' }),
  );

  test('is compared by what its layers give, and the report says so', async () => {
    const { fitness, functionErrors, warnings } = await compared(student);
    expect([fitness, functionErrors]).toEqual(['error', null]);
    expect(warnings.join()).toMatch(/layers cannot be run by themselves/);
  });

  test('is refused where what layers do was asked for', async () => {
    await expect(compared(student, 'function')).rejects.toThrow(
      /--fitness function: layers of .* cannot be run on what/,
    );
  });
});
