import { mkdirSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { tfliteRules } from '../../src/lint/index.ts';
import { lint } from '../../src/lint/rule.ts';
import { readTfliteModel } from '../../src/lint/tflite/model.ts';
import { predictDelegation } from '../../src/lint/tflite/xnnpack.ts';
import { graphOf } from '../core.ts';
import { bytesOf } from '../exporters/tflite-lab.ts';
import { Changes, floatLayer, goodFile, hybridFile, strictFile } from './sample.ts';

const files = {
  i8: await goodFile(),
  strict: await strictFile(),
  hybrid: await hybridFile('i8 per channel'),
  'per tensor': await hybridFile('i8 per tensor'),
  i4: await hybridFile('i4 per channel'),
  blocks: await hybridFile('i4 per block'),
  f32: await bytesOf(floatLayer()),
  f16: await bytesOf(floatLayer(), { dtype: 'f16' }),
};

/** Partitions that ai-edge-litert 2.3.0 makes, seen as DELEGATE nodes, or that it does not load the file. */
type Seen = number | 'fails';

/** A good file with something changed, and what LiteRT makes of it. */
const CHANGED: readonly (readonly [string, keyof typeof files, (file: Changes) => void, Seen])[] = [
  ['nothing', 'i8', () => {}, 1],
  [
    'a zero point for K and Q',
    'i8',
    (file) => setAll(file, ['k', 'k1', 'k0', 'qkv', 'q0', 'q1', 'q', 'v0', 'v1', 'v'], 4),
    3,
  ],
  ['nothing of i4', 'i4', () => {}, 1],
  ['nothing of blocks', 'blocks', () => {}, 1],
  ['nothing in floats', 'f32', () => {}, 1],
  ['nothing with f16', 'f16', () => {}, 1],
  ['nothing of hybrids', 'hybrid', () => {}, 1],
  ['nothing of one scale', 'per tensor', () => {}, 1],
  ['nothing strict', 'strict', () => {}, 2],
  ['the zero point of K alone', 'i8', (file) => (file.quantization('k').zeroPoint = [4]), 'fails'],
  ['a bias without scales', 'i8', (file) => (file.tensor('up.bias').quantization = undefined), 2],
  ['one zero point for many scales', 'i8', (file) => (file.quantization('up.weight').zeroPoint = [0]), 'fails'],
  ['a zero point of a weight', 'i8', (file) => file.quantization('up.weight').zeroPoint?.fill(3, 7, 8), 'fails'],
  ['another scale of a reshape', 'i8', (file) => file.quantization('q1').scale?.fill(1), 'fails'],
  ['another scale of a transpose', 'i8', (file) => file.quantization('together').scale?.fill(1), 'fails'],
  ['another scale of a split', 'i8', (file) => file.quantization('k0').scale?.fill(1), 'fails'],
  ['another scale of a slice', 'i8', (file) => file.quantization('first').scale?.fill(1), 'fails'],
  ['another scale of a concat', 'i8', (file) => file.quantization('both').scale?.fill(1), 'fails'],
  ['a scale too large for a sum', 'i8', (file) => file.quantization('dense').scale?.fill(1e4), 2],
  ['a scale too small for a sum', 'i8', (file) => file.quantization('dense').scale?.fill(2e-4), 2],
  ['a scale too small for a linear', 'i8', (file) => file.quantization('up').scale?.fill(1e-6), 'fails'],
  ['a small scale for a matmul', 'i8', (file) => file.quantization('products').scale?.fill(1e-6), 1],
  ['a scale too large for a product', 'i8', (file) => file.quantization('gain').scale?.fill(1e9), 2],
  ['a scale too small for a product', 'i8', (file) => file.quantization('gain').scale?.fill(1e-9), 2],
  ['a slice of the rest', 'i8', (file) => file.data('size_1_1_64').fill(0xff, 8, 12), 2],
  ['a scale of zero', 'i8', (file) => file.quantization('up').scale?.fill(0), 'fails'],
  ['a subnormal scale', 'i8', (file) => file.quantization('up.weight').scale?.fill(2 ** -130, 3, 4), 'fails'],
  ['a scale of a softmax', 'strict', (file) => file.quantization('p').scale?.fill(1 / 255), 'fails'],
  [
    'six parts of a concat',
    'strict',
    (file) => {
      file.operator('c').inputs = new Array(6).fill(file.index('q'));
      file.tensor('c').shape = [2, 48];
    },
    2,
  ],
  ['a scale of a bias', 'i8', (file) => file.quantization('up.bias').scale?.fill(9), 1],
  ['the least weight', 'i8', (file) => file.data('up.weight').fill(0x80, 5, 6), 1],
  [
    'symmetric inputs',
    'hybrid',
    (file) => Object.assign(file.operator('up').builtinOptions?.value ?? {}, { asymmetricQuantizeInputs: false }),
    1,
  ],
  [
    'blocks of 16',
    'blocks',
    (file) => Object.assign(file.quantization('up.weight').details?.value ?? {}, { blockSize: 16 }),
    2,
  ],
  [
    'a f32 bias under integers',
    'i8',
    (file) => Object.assign(file.tensor('up.bias'), { type: 'FLOAT32', quantization: undefined }),
    'fails',
  ],
  ['another beta', 'f32', (file) => Object.assign(file.operator('p').builtinOptions?.value ?? {}, { beta: 2 }), 2],
];

function setAll(file: Changes, names: readonly string[], zeroPoint: number): void {
  for (const name of names) file.quantization(name).zeroPoint = [zeroPoint];
}

/** Graphs with operators that XNNPACK knows in one form and not in another. */
const GRAPHS: readonly (readonly [string, string, Seen])[] = [
  ['a gelu of integers', 'y = gelu(a)  i8[2, 3, 8] q(0.01, -100)', 2],
  ['a relu of integers', 'y = relu(a)  i8[2, 3, 8] q(0.004, -128)', 2],
  ['a softmax of integers', 'y = softmax(a)  i8[2, 3, 8] q(0.00390625, -128)', 2],
  [
    'a tanh and a mean of integers',
    't = tanh(a)  i8[2, 3, 8] q(0.0078125, 0) y = mean(t) {axis: 2}  i8[2, 3, 1] q(0.004, 0)',
    1,
  ],
  ['a gather of integers', 'y = gather(a, i) {axis: 1}  i8[2, 2, 2, 8] q(0.008, -2)', 2],
  [
    'two sums around a relu',
    's = add(a, c)  i8[2, 3, 8] q(0.02, 0) r = relu(s)  i8[2, 3, 8] q(0.02, -128) y = add(r, c)  i8[2, 3, 8] q(0.02, 0)',
    2,
  ],
  [
    'a relu beside sums',
    's = add(a, c)  i8[2, 3, 8] q(0.02, 0) r = relu(a)  i8[2, 3, 8] q(0.02, -128) y = add(r, s)  i8[2, 3, 8] q(0.02, 0)',
    2,
  ],
  [
    'a layer norm between integers',
    'f = dequantize(a) n = layerNorm(f, g f32[8] #1, b f32[8] #2) e = gelu(n) y = quantize(e)  i8[2, 3, 8] q(0.02, 0)',
    1,
  ],
  ['a requantization', 'y = quantize(a)  i8[2, 3, 8] q(0.013, 7)', 1],
  ['a requantization too far', 'y = quantize(a)  i8[2, 3, 8] q(0.00002, 7)', 2],
  [
    'a pad and a shift',
    'p = pad(a) {before: [0, 1, 0], after: [0, 0, 2]}  i8[2, 4, 10] q(0.008, -2) y = shift(p) {axis: 1, offset: 1}  i8[2, 4, 10] q(0.008, -2)',
    1,
  ],
  [
    'a split into five',
    's0 = slice(l) {axis: 0, end: 1} s1 = slice(l) {axis: 0, start: 1, end: 2} s2 = slice(l) {axis: 0, start: 2, end: 3} s3 = slice(l) {axis: 0, start: 3, end: 4} s4 = slice(l) {axis: 0, start: 4, end: 5} s5 = add(s0, s1) s6 = add(s2, s3) s7 = add(s5, s6) s8 = add(s7, s4) y = quantize(s8)  i8[1, 8] q(0.1, 0)',
    1,
  ],
  [
    'i16',
    'f = dequantize(a) w = quantize(f)  i16[2, 3, 8] q(0.0001, 0) v = add(w, w)  i16[2, 3, 8] q(0.0002, 0) e = dequantize(v) y = quantize(e)  i8[2, 3, 8] q(0.02, 0)',
    2,
  ],
  [
    'a dequantized constant',
    'f = dequantize(a) e = add(f, w i8[8] q(0.25, 1) #1) y = quantize(e)  i8[2, 3, 8] q(0.25, 0)',
    1,
  ],
  [
    'a dequantized constant outside',
    'g = gather(w i8[5, 4] q(0.3, 0) #1, i) t = dequantize(w i8[5, 4] q(0.3, 0) #1) r = gather(t, i) {axis: 1} y = quantize(r)  i8[5, 2, 2] q(0.3, 0)',
    1,
  ],
  ['a reshape to one axis', 'y = reshape(a) {shape: [48]}  i8[48] q(0.008, -2)', 1],
  [
    'a constant first',
    'k = slice(w f32[8] #1) {axis: 0, end: 4} f = gather(e f32[3, 4] #2, i) s = add(f, k) y = quantize(s)  i8[2, 2, 4] q(0.01, 0)',
    1,
  ],
];

function graph(body: string): Promise<Uint8Array> {
  const long = body.includes('(l)') ? ', l: f32[5, 8]' : '';
  return bytesOf(
    graphOf(`graph g (x: f32[2, 3, 8], z: f32[2, 3, 8], i: i32[2, 2]${long})
    a = quantize(x)  i8[2, 3, 8] q(0.008, -2)
    c = quantize(z)  i8[2, 3, 8] q(0.01, 0)
    ${body}
    r = dequantize(y)
    return out: r`),
  );
}

/** A folder to write the files to, for conformance/check_probes.py. */
const folder = process.env['MBERT_PROBES'];

function check(name: string, bytes: Uint8Array, seen: Seen): void {
  const file = name.replaceAll(' ', '-');
  if (folder) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${folder}/${file}.tflite`, bytes);
  }
  const model = readTfliteModel(bytes, name);
  const { partitions, failures } = predictDelegation(model);
  const isBroken = lint(tfliteRules, model).some(({ severity }) => severity === 'error');
  if (folder) writeFileSync(`${folder}/${file}.json`, JSON.stringify({ partitions, failures, isBroken }));
  if (seen === 'fails') expect(isBroken).toBe(true);
  else expect({ partitions, failures }).toEqual({ partitions: seen, failures: [] });
}

describe('predicts what LiteRT was seen to do with', () => {
  test.each(CHANGED)('%s', (name, base, change, seen) => {
    const file = new Changes(files[base]);
    change(file);
    check(name, file.bytes(), seen);
  });

  test.each(GRAPHS)('%s', async (name, body, seen) => {
    check(name, await graph(body), seen);
  });
});
