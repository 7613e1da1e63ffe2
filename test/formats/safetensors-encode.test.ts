import { expect, test } from 'vitest';
import { readSafetensors } from '../../src/formats/safetensors.ts';
import { encodeSafetensors } from '../../src/formats/safetensors-encode.ts';
import { readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { memoryFile } from './memory-file.ts';

async function encoded(tensors: ReadonlyMap<string, Tensor>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodeSafetensors(tensors)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('a file is read back as it was written, in f32 and in order', async () => {
  const tensors = new Map([
    ['b', tensorOf('f32', [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6))],
    ['a.weight', tensorOf('f64', [2], Float64Array.of(0.5, -1))],
    ['empty', tensorOf('f32', [0], new Float32Array(0))],
  ]);
  const bytes = await encoded(tensors);
  const read = readSafetensors(memoryFile('model.safetensors', bytes));
  expect([...read].map(([name, tensor]) => [name, tensor.dtype, tensor.shape, [...readF32(tensor)]])).toEqual([
    ['b', 'f32', [2, 3], [1, 2, 3, 4, 5, 6]],
    ['a.weight', 'f32', [2], [0.5, -1]],
    ['empty', 'f32', [0], []],
  ]);
});

test('data begin at a multiple of 8 bytes, whatever the names', async () => {
  for (const name of ['a', 'ab', 'abc', 'abcd', 'abcde', 'ä']) {
    const bytes = await encoded(new Map([[name, tensorOf('f32', [1], Float32Array.of(7))]]));
    expect((bytes.byteLength - 4) % 8).toBe(0);
  }
});
