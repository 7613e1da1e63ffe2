import { expect, test } from 'vitest';
import { tflite } from '../../src/exporters/tflite.ts';
import { holdMemory, neededBytes, refuseFullMemory } from '../../src/runtimes/litert-memory.ts';
import { graphOf } from '../core.ts';

/** Bytes of a file of one linear with a million weights. */
async function linear(dtype: 'f32' | 'f16'): Promise<Uint8Array> {
  const graph = graphOf(`graph g (x: f32[1, 1000])
  y = linear(x, w f32[1000, 1000] #1)
return y: y`);
  const parts: Uint8Array[] = [];
  for await (const { chunks } of tflite.write(graph, { ...tflite.defaults, dtype }))
    for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

test('weights are counted as the file has them and as f32, which they are packed into', async () => {
  for (const [dtype, times] of [
    ['f32', 2],
    ['f16', 3],
  ] as const) {
    const bytes = await linear(dtype);
    expect(neededBytes(bytes, 'm.tflite') / bytes.byteLength).toBeCloseTo(times, 1);
  }
  expect(neededBytes(new Uint8Array(100), 'no model')).toBe(100);
});

test('models that do not fit together are refused until the first one is closed', () => {
  const half = new Uint8Array(2 ** 30);
  const first = holdMemory(half, 'a.tflite');
  expect(() => holdMemory(half, 'b.tflite')).toThrow(
    expect.objectContaining({
      code: 'UNSUPPORTED',
      message: "b.tflite: takes 1074 MB beside the 1074 MB of others in LiteRT's WebAssembly, which ends at 1933 MB",
    }),
  );
  first.release();
  first.release();
  holdMemory(half, 'b.tflite').release();
});

test('a memory that has grown to its end is not to be believed', () => {
  refuseFullMemory(2 ** 31 - 2 ** 17, 'm.tflite');
  expect(() => refuseFullMemory(2 ** 31, 'm.tflite')).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
});
