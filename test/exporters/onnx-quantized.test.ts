import { describe, expect, test } from 'vitest';
import { onnxModel } from '../../src/exporters/onnx/model.ts';
import { minimumOpset, onnx } from '../../src/exporters/onnx.ts';
import { graphOf } from '../core.ts';
import { expectAgreement, onnxText, optimized, writtenNodes } from './onnx-lab.ts';
import { constantOf, quantizeRows, quantizeTables, withRows, withZeroPoints } from './quantize-by-hand.ts';

const STATIC = `graph g (x: f32[batch, 32])
  q = quantize(x) u8[batch, 32] q(0.0078125, 128)
  up = linear(q, wu f32[48, 32] #1, bu f32[48] #2) {activation: relu} u8[batch, 48] q(0.03, 0)
  down = linear(up, wd f32[32, 48] #3, bd f32[32] #4)
  y = add(down, x)
return out: y`;

describe('linears of u8 and i8', () => {
  test('are Gemms between DequantizeLinears, with biases in steps of their products', async () => {
    const graph = withRows(STATIC);
    expect(onnxText(graph)).toMatchInlineSnapshot(`
      "(x: f32[batch, 32]) -> (out: f32[batch, 32])
        q = QuantizeLinear(x, f32_0.0078125, u8_128)
        bu/f32 = DequantizeLinear(bu, bu/scale) {axis: 0}
        q/f32 = DequantizeLinear(q, f32_0.0078125, u8_128)
        wu/f32 = DequantizeLinear(wu, wu/scale, i8_zeros_48) {axis: 0}
        up/linear = Gemm(q/f32, wu/f32, bu/f32) {transB: 1}
        up/real = Relu(up/linear)
        up = QuantizeLinear(up/real, f32_0.03, u8_0)
        bd/f32 = DequantizeLinear(bd, bd/scale) {axis: 0}
        up/f32 = DequantizeLinear(up, f32_0.03, u8_0)
        wd/f32 = DequantizeLinear(wd, wd/scale, i8_zeros_32) {axis: 0}
        down = Gemm(up/f32, wd/f32, bd/f32) {transB: 1}
        out = Add(down, x)
      constants
        f32_0.0078125 f32[]
        u8_128 u8[]
        bu i32[48]
        bu/scale f32[48]
        wu i8[48, 32]
        i8_zeros_48 i8[48]
        wu/scale f32[48]
        f32_0.03 f32[]
        u8_0 u8[]
        bd i32[32]
        bd/scale f32[32]
        wd i8[32, 48]
        i8_zeros_32 i8[32]
        wd/scale f32[32]"
    `);
    // One step of the hidden u8 that a tie rounds the other way moves the result by 0.03 times a weight.
    await expectAgreement(graph, { batch: 5 }, {}, 0.03);
  });

  test.each([13, 17, 19, 21, 23])(
    'become QGemm at opset %i, the relu with its quantization included',
    async (opset) => {
      const { counts } = await optimized(withRows(STATIC), { opset });
      expect(counts).toEqual({ QuantizeLinear: 1, QGemm: 2, Add: 1 });
    },
  );

  test.each([
    ['f32', 'h = linear(q, w f32[32, 32] #1) {activation: relu}'],
    ['f32, as a node of its own', 'l = linear(q, w f32[32, 32] #1) h = relu(l)'],
    ['u8 that begins below 0', 'h = linear(q, w f32[32, 32] #1) {activation: relu} u8[batch, 32] q(0.1, 3)'],
  ])('stay QGemm in front of a relu in %s, which is written as Max', async (_, text) => {
    const graph = withRows(`graph g (x: f32[batch, 32]) q = quantize(x) u8[batch, 32] q(0.0078125, 128) ${text}
      y = add(h, x) return out: y`);
    expect((await optimized(graph)).counts).toMatchObject({ QGemm: 1, Max: 1 });
    await expectAgreement(graph, { batch: 3 }, {}, text.includes('0.1') ? 0.1 : 1e-5);
  });

  test('share the quantization of what they both read', async () => {
    const graph = withRows(`graph g (x: f32[batch, 32])
      q = quantize(x) u8[batch, 32] q(0.0078125, 128)
      a = linear(q, wa f32[8, 32] #1, ba f32[8] #2)
      b = linear(q, wb f32[16, 32] #3)
    return a: a, b: b`);
    expect(writtenNodes(graph).filter((line) => /Linear\((x|q)\b/.test(line))).toHaveLength(2);
    expect((await optimized(graph)).counts).toEqual({ QuantizeLinear: 1, QGemm: 2 });
    await expectAgreement(graph, { batch: 3 });
  });

  test.each([
    ['3', 'f32[batch, sequence, 32]', 'u8[batch, sequence, 32]'],
    ['1', 'f32[32]', 'u8[32]'],
    ['4', 'f32[batch, 2, sequence, 32]', 'u8[batch, 2, sequence, 32]'],
  ])('of rank %s are flattened as integers', async (_, real, stored) => {
    const graph = withRows(`graph g (x: ${real})
      q = quantize(x) ${stored} q(0.0078125, 128)
      a = linear(q, wa f32[8, 32] #1, ba f32[8] #2)
      b = linear(q, wb f32[16, 32] #3) {activation: relu}
    return a: a, b: b`);
    const { counts } = await optimized(graph);
    expect([counts['QGemm'], counts['DequantizeLinear']]).toEqual([2, undefined]);
    await expectAgreement(graph, { batch: 2, sequence: 3 });
  });

  test('add a bias in f32 that i32 cannot hold in steps of the product', async () => {
    const text = `graph g (x: f32[batch, 4]) q = quantize(x) u8[batch, 4] q(0.0078125, 128)
      y = linear(q, w f32[2, 4] #1, b f32[2] {BIAS, 1}) return out: y`;
    const small = graphOf(text.replace('BIAS', '1'));
    const large = graphOf(text.replace('BIAS', '1e8'));
    for (const graph of [small, large]) quantizeRows(graph, constantOf(graph, 'w'));
    expect((await optimized(small)).counts).toEqual({ QuantizeLinear: 1, QGemm: 1 });
    expect((await optimized(large)).counts).toEqual({ QuantizeLinear: 1, QGemm: 1, Add: 1 });
    await expectAgreement(large, { batch: 3 }, {}, 1e-6);
  });

  test.each([
    ['a weight of one scale', 'u8', 'w i8[16, 32] q(0.01, 0) #1'],
    ['a weight of one scale and a zero point', 'u8', 'w i8[16, 32] q(0.01, 1) #1'],
    ['a u8 weight', 'u8', 'w u8[16, 32] q(0.01, 2) #1'],
    ['i8 inputs', 'i8', 'w i8[16, 32] q(0.01, 0) #1'],
  ])('take %s', async (_, dtype, weight) => {
    const zeroPoint = dtype === 'u8' ? 128 : 0;
    const graph = graphOf(`graph g (x: f32[batch, 32]) q = quantize(x) ${dtype}[batch, 32] q(0.0078125, ${zeroPoint})
      y = linear(q, ${weight}, b f32[16] #2) return out: y`);
    expect((await optimized(graph)).counts).toEqual({ QuantizeLinear: 1, QGemm: 1 });
    // Half a step of the bias, which is 0.0078125 times 0.01.
    await expectAgreement(graph, { batch: 3 }, {}, 4e-5);
  });

  test('keep a bias that is i32 already, and one that is computed', async () => {
    const graph = graphOf(`graph g (x: f32[batch, 4], c: f32[2]) q = quantize(x) u8[batch, 4] q(0.01, 128)
      a = linear(q, w i8[2, 4] q(0.02, 0) #1, b i32[2] q(0.0002, 0) {300, -900})
      y = linear(q, w i8[2, 4] q(0.02, 0) #1, c) return a: a, out: y`);
    expect((await optimized(graph)).counts).toEqual({ QuantizeLinear: 1, QGemm: 2, Add: 1 });
    await expectAgreement(graph, { batch: 3 });
  });

  test('add their residual by themselves, where a float linear makes it its C', () => {
    const text = `graph g (x: f32[batch, 4]) q = quantize(x) u8[batch, 4] q(0.01, 128)
      l = linear(q, w f32[4, 4] #1) y = add(l, x) return out: y`;
    expect(writtenNodes(withRows(text)).at(-1)).toBe('  out = Add(l, x)');
    expect(writtenNodes(graphOf(text)).at(-1)).toBe('  out = Gemm(q/f32, w, x) {transB: 1}');
  });

  test('write one zero vector for all weights of a width', () => {
    const zeros = onnxModel(withRows(STATIC.replaceAll('48', '32')), onnx.defaults).initializers.filter(({ name }) =>
      name.includes('zeros'),
    );
    expect(zeros.map(({ name, tensor }) => [name, tensor.dtype, tensor.shape])).toEqual([['i8_zeros_32', 'i8', [32]]]);
  });
});

const DYNAMIC = `graph g (x: f32[batch, sequence, 32])
  up = linear(x, wu f32[48, 32] #1, bu f32[48] #2) {activation: relu}
  down = linear(up, wd f32[32, 48] #3)
  side = linear(x, ws f32[8, 32] #5, bs f32[8] #6)
return out: down, side: side`;
const DYNAMIC_ROUNDED = DYNAMIC.replace('up = linear(x,', 'rx = dynamicRound(x) up = linear(rx,')
  .replace('side = linear(x', 'side = linear(rx')
  .replace('linear(up', 'linear(ru')
  .replace('down =', 'ru = dynamicRound(up) down =');

describe('linears of f32 and i8', () => {
  test('quantize what they read once at run time', async () => {
    expect(onnxText(withRows(DYNAMIC))).toMatchInlineSnapshot(`
      "(x: f32[batch, sequence, 32]) -> (out: f32[batch, sequence, 32], side: f32[batch, sequence, 8])
        x/dynamic/values, x/dynamic/scale, x/dynamic/zero_point = DynamicQuantizeLinear(x)
        up/rescale = Mul(x/dynamic/scale, wu/scale)
        up/integers = MatMulInteger(x/dynamic/values, wu, x/dynamic/zero_point)
        up/cast = Cast(up/integers) {to: 1}
        up/product = Mul(up/cast, up/rescale)
        up/linear = Add(up/product, bu)
        up = Relu(up/linear)
        up/dynamic/values, up/dynamic/scale, up/dynamic/zero_point = DynamicQuantizeLinear(up)
        out/rescale = Mul(up/dynamic/scale, wd/scale)
        out/integers = MatMulInteger(up/dynamic/values, wd, up/dynamic/zero_point)
        out/cast = Cast(out/integers) {to: 1}
        out = Mul(out/cast, out/rescale)
        side/rescale = Mul(x/dynamic/scale, ws/scale)
        side/integers = MatMulInteger(x/dynamic/values, ws, x/dynamic/zero_point)
        side/cast = Cast(side/integers) {to: 1}
        side/product = Mul(side/cast, side/rescale)
        side = Add(side/product, bs)
      constants
        wu i8[32, 48]
        wu/scale f32[48]
        bu f32[48]
        wd i8[48, 32]
        wd/scale f32[32]
        ws i8[32, 8]
        ws/scale f32[8]
        bs f32[8]"
    `);
    await expectAgreement(withRows(DYNAMIC_ROUNDED), { batch: 2, sequence: 3 }, {}, 0.01);
  });

  test('are the same where their rounding is spelled out', () => {
    expect(onnxText(withRows(DYNAMIC_ROUNDED))).toBe(onnxText(withRows(DYNAMIC)));
  });

  test.each([13, 17, 21, 23])('are one node each at opset %i', async (opset) => {
    expect((await optimized(withRows(DYNAMIC), { opset })).counts).toEqual({
      DynamicQuantizeLinear: 1,
      MatMulIntegerToFloat: 2,
      Relu: 1,
      DynamicQuantizeMatMul: 1,
    });
  });

  test('round for themselves and for others that read the rounded values', async () => {
    const graph = withRows(`graph g (x: f32[batch, 32]) r = dynamicRound(x)
      y = linear(r, w f32[8, 32] #1) z = relu(r) return out: y, rounded: z`);
    expect(writtenNodes(graph).filter((line) => line.includes('DynamicQuantizeLinear'))).toHaveLength(1);
    await expectAgreement(graph, { batch: 4 }, {}, 0.01);
  });

  test.each([
    ['a weight of one scale', 'w i8[16, 32] q(0.01, 0) #1'],
    ['a weight of one scale and a zero point', 'w i8[16, 32] q(0.01, 1) #1'],
    ['a u8 weight', 'w u8[16, 32] q(0.01, 2) #1'],
  ])('take %s', async (_, weight) => {
    const graph = graphOf(`graph g (x: f32[batch, 32]) r = dynamicRound(x) y = linear(r, ${weight}, b f32[16] #2)
      return out: y`);
    expect((await optimized(graph)).counts).toEqual({ DynamicQuantizeMatMul: 1 });
    await expectAgreement(graph, { batch: 3 });
  });

  test('take zero points per channel', async () => {
    const graph = withRows(`graph g (x: f32[batch, 32]) r = dynamicRound(x) y = linear(r, w f32[3, 32] #1)
      return out: y`);
    await expectAgreement(withZeroPoints(graph, 'w', Int32Array.of(3, 0, -5)), { batch: 3 });
  });

  test('share a table with a look-up: it is stored once, and turned when loaded', async () => {
    const text = `graph g (ids: i64[batch, sequence]) h = gather(table f32[40, 32] #1, ids) r = dynamicRound(h)
      y = linear(r, table f32[40, 32] #1, b f32[40] #2) return logits: y`;
    const graph = graphOf(text);
    quantizeTables(graph);
    expect(onnxText(graph)).toMatchInlineSnapshot(`
      "(ids: i64[batch, sequence]) -> (logits: f32[batch, sequence, 40])
        h/rows = Gather(table, ids) {axis: 0}
        h/cast = Cast(h/rows) {to: 1}
        h/scale = Gather(table/scale, ids)
        h/scales = Unsqueeze(h/scale, i64_-1)
        h = Mul(h/cast, h/scales)
        h/dynamic/values, h/dynamic/scale, h/dynamic/zero_point = DynamicQuantizeLinear(h)
        table/columns = Transpose(table) {perm: 1,0}
        logits/rescale = Mul(h/dynamic/scale, table/scale)
        logits/integers = MatMulInteger(h/dynamic/values, table/columns, h/dynamic/zero_point)
        logits/cast = Cast(logits/integers) {to: 1}
        logits/product = Mul(logits/cast, logits/rescale)
        logits = Add(logits/product, b)
      constants
        table i8[40, 32]
        table/scale f32[40]
        i64_-1 i64[1]
        b f32[40]"
    `);
    const { counts } = await optimized(graph);
    expect([counts['DynamicQuantizeMatMul'], counts['DequantizeLinear'], counts['Transpose']]).toEqual([
      1,
      undefined,
      undefined,
    ]);
    await expectAgreement(graph, { batch: 2, sequence: 3 });
  });
});

test('linears of i16 and i8 compute on what the integers stand for', async () => {
  const graph = withRows(`graph g (x: f32[batch, 32])
    q = quantize(x) i16[batch, 32] q(0.00003051851, 0)
    y = linear(q, w f32[16, 32] #1, b f32[16] #2) {activation: relu} i16[batch, 16] q(0.0002, 0)
    z = linear(y, v f32[8, 16] #3)
  return out: z`);
  expect(minimumOpset(graph)).toBe(21);
  await expectAgreement(graph, { batch: 5 }, { opset: 21 }, 0.0005);
});
