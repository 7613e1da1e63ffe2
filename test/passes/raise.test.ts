import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { type Pass, runPasses } from '../../src/ir/pass.ts';
import { bindDim } from '../../src/ir/shape.ts';
import { readF32, tensorOf } from '../../src/ir/tensor.ts';
import { graphText } from '../../src/ir/text.ts';
import { raiseAttention } from '../../src/passes/raise/attention.ts';
import { raiseAttentionMask } from '../../src/passes/raise/attention-mask.ts';
import { raiseDuplicates } from '../../src/passes/raise/duplicates.ts';
import { raiseGeluByErf, raiseGeluByTanh } from '../../src/passes/raise/gelu.ts';
import { raiseLayerNorm, raiseLayerNormWithoutBias } from '../../src/passes/raise/layer-norm.ts';
import { raiseLayout } from '../../src/passes/raise/layout.ts';
import { raiseLinear } from '../../src/passes/raise/linear.ts';
import { raiseNoNorm } from '../../src/passes/raise/no-norm.ts';
import { raiseScale } from '../../src/passes/raise/scale.ts';
import { raiseSoftmax } from '../../src/passes/raise/softmax.ts';
import { raiseStoredConstants } from '../../src/passes/raise/stored-constants.ts';
import { raiseTrigram } from '../../src/passes/raise/trigram.ts';
import { after, graphOf, randomTensor } from '../core.ts';

/** The values of the only output on seeded inputs. */
function valuesOf(graph: Graph): number[] {
  const sizes = { batch: 2, sequence: 5 };
  const feeds = graph.inputs.map(({ name, type }, i) => {
    const shape = type.shape.map((dim) => bindDim(dim, sizes) as number);
    return [name, randomTensor({ dtype: type.dtype, shape }, i + 3)] as const;
  });
  const [only] = evaluate(graph, new Map(feeds)).values();
  return Array.from(only ? readF32(only) : []);
}

/** The text after the passes; what the graph computes must be what it was. */
async function raised(passes: Pass | readonly Pass[], text: string): Promise<string> {
  const before = valuesOf(graphOf(text));
  const graph = graphOf(text);
  await runPasses(graph, Array.isArray(passes) ? passes : [passes as Pass]);
  const now = valuesOf(graph);
  before.forEach((value, i) => {
    expect(now[i]).toBeCloseTo(value, 5);
  });
  return graphText(graph);
}

async function declined(pass: Pass, text: string): Promise<readonly string[]> {
  const graph = graphOf(text);
  const before = graphText(graph);
  const { declined } = await pass.run(graph, { keeps: () => false });
  expect(graphText(graph)).toBe(before);
  return declined;
}

describe('raise-layer-norm', () => {
  const norm = (tail: string) => `graph g (x: f32[batch, 4])
    m = mean(x)
    d = sub(x, m)
    s = mul(d, d)
    v = mean(s)
    e = add(v, epsilon f32[] {1e-5})
    ${tail}
    return y: y`;
  const TORCH = norm(`r = sqrt(e)
    n = div(d, r)
    p = mul(n, gamma f32[4] #1)
    y = add(p, beta f32[4] #2)`);

  test('finds torch’s', async () => {
    expect(await raised(raiseLayerNorm, TORCH)).toMatchInlineSnapshot(`
      "graph g (x: f32[batch, 4])
        y = layerNorm(x, gamma f32[4] {0.2541479, -0.99452853, 0.05489408, 0.96210194}, beta f32[4] {0.4685019, -0.35000312, -0.4294079, 0.075910315}) {epsilon: 0.00001}  f32[batch, 4]
      return y: y"
    `);
  });

  test('finds it with rsqrt, and with the operands the other way round', async () => {
    const text = norm(`r = rsqrt(e)
    n = mul(r, d)
    p = mul(gamma f32[4] #1, n)
    y = add(beta f32[4] #2, p)`);
    expect(await raised(raiseLayerNorm, text)).toContain('y = layerNorm(x, gamma');
  });

  test('finds TensorFlow’s', async () => {
    const text = norm(`r = rsqrt(e)
    k = mul(r, gamma f32[4] #1)
    a = mul(x, k)
    b = mul(m, k)
    c = sub(beta f32[4] #2, b)
    y = add(a, c)`);
    expect(await raised(raiseLayerNorm, text)).toContain('y = layerNorm(x, gamma');
  });

  test('finds one without a bias, behind those that have one', async () => {
    const text = norm(`r = rsqrt(e)
    n = mul(d, r)
    y = mul(n, gamma f32[4] {1, 2, 3, 4})`);
    expect(await declined(raiseLayerNorm, text)).toEqual([]);
    expect(await raised(raiseLayerNormWithoutBias, text)).toMatchInlineSnapshot(`
      "graph g (x: f32[batch, 4])
        y = layerNorm(x, gamma f32[4] {1, 2, 3, 4}, y.bias f32[4] {0, 0, 0, 0}) {epsilon: 0.00001}  f32[batch, 4]
      return y: y"
    `);
    expect(await raised([raiseLayerNorm, raiseLayerNormWithoutBias], TORCH)).toContain('beta f32[4] {0.46');
  });

  test('is not fooled by a mean over another axis', async () => {
    expect(
      await declined(raiseLayerNorm, TORCH.replace('v = mean(s)', 'v = mean(s) {axis: 0}').replace('batch', '4')),
    ).toEqual([]);
  });

  test('is not fooled by a variance of something else', async () => {
    expect(await declined(raiseLayerNorm, TORCH.replace('s = mul(d, d)', 's = mul(d, x)'))).toEqual([]);
  });

  test('says why it leaves a norm with one gamma for all', async () => {
    const text = TORCH.replace('gamma f32[4] #1', 'gamma f32[] {2}');
    expect(await declined(raiseLayerNorm, text)).toEqual(['y: gamma and beta are not one number a channel']);
  });
});

describe('raise-no-norm', () => {
  test('leaves products and sums of integers, which places are computed by', async () => {
    const counted = `graph g (x: i64[batch, 2])
      scaled = mul(x, gamma i64[2] {2, 3})
      y = add(scaled, beta i64[2] {1, 1})
    return y: y`;
    expect(await raised(raiseNoNorm, counted)).not.toContain('noNorm');
  });

  const NO_NORM = `graph g (x: f32[batch, 4])
    p = mul(x, gamma f32[4] #1)
    y = add(p, beta f32[1, 4] #2)
    return y: y`;

  test('finds a factor and an addend for each channel', async () => {
    expect(await raised(raiseNoNorm, NO_NORM)).toMatchInlineSnapshot(`
      "graph g (x: f32[batch, 4])
        y = noNorm(x, gamma f32[4] {0.2541479, -0.99452853, 0.05489408, 0.96210194}, beta f32[4] {0.4685019, -0.35000312, -0.4294079, 0.075910315})  f32[batch, 4]
      return y: y"
    `);
  });

  test('leaves a product with other readers', async () => {
    const text = NO_NORM.replace('return y: y', 'return y: y, p: p');
    expect(await declined(raiseNoNorm, text)).toEqual(['y: the product has other uses']);
  });

  test('leaves one factor for all', async () => {
    const text = NO_NORM.replace('gamma f32[4] #1', 'gamma f32[] {2}');
    expect(await declined(raiseNoNorm, text)).toEqual([]);
  });
});

describe('raise-gelu', () => {
  const spellings = {
    torch: `a = div(x, root f32[] {1.4142135623730951})
      b = erf(a)
      c = add(b, one f32[] {1})
      d = mul(x, c)
      y = mul(d, half f32[] {0.5})`,
    TensorFlow: `a = mul(x, root f32[] {0.7071067811865476})
      b = erf(a)
      c = add(one f32[] {1}, b)
      d = mul(half f32[] {0.5}, x)
      y = mul(d, c)`,
    'with half of the cdf': `a = div(x, root f32[] {1.4142135623730951})
      b = erf(a)
      c = add(b, one f32[] {1})
      d = mul(c, half f32[] {0.5})
      y = mul(x, d)`,
  };
  test.each(Object.entries(spellings))('finds %s', async (_, lines) => {
    const text = `graph g (x: f32[batch, 4])\n${lines}\nreturn y: y`;
    expect(await raised(raiseGeluByErf, text)).toContain('y = gelu(x)  f32');
  });

  const byTanh = {
    'of a cube': `a = mul(x, x)
      b = mul(a, x)
      c = mul(b, k f32[] {0.044715})
      d = add(x, c)
      e = mul(d, s f32[] {0.7978845608028654})
      t = tanh(e)
      u = add(t, one f32[] {1})
      h = mul(x, half f32[] {0.5})
      y = mul(h, u)`,
    'of a square, as ONNX Runtime wants it': `a = mul(x, k f32[] {0.044715})
      b = mul(x, a)
      c = add(b, one f32[] {1})
      d = mul(x, s f32[] {0.7978845608028654})
      e = mul(c, d)
      t = tanh(e)
      u = add(t, one)
      h = mul(x, half f32[] {0.5})
      y = mul(h, u)`.replace('u = add(t, one)', 'u = add(t, uno f32[] {1})'),
  };
  test.each(Object.entries(byTanh))('finds tanh %s', async (_, lines) => {
    const text = `graph g (x: f32[batch, 4])\n${lines}\nreturn y: y`;
    expect(await raised(raiseGeluByTanh, text)).toContain('y = gelu(x) {tanh: true}');
  });

  test('is not fooled by another constant', async () => {
    const text = `graph g (x: f32[batch, 4])\n${spellings.torch.replace('1.4142135623730951', '1.5')}\nreturn y: y`;
    expect(await declined(raiseGeluByErf, text)).toEqual([]);
  });
});

describe('raise-linear', () => {
  const LINEAR = `graph g (x: f32[batch, 4])
    m = linear(x, onnx.MatMul_7 f32[3, 4] #1)
    y = add(layer.0.bias f32[1, 3] #2, m)
    return y: y`;

  test('takes the bias in, and names the weight after it', async () => {
    expect(await raised(raiseLinear, LINEAR)).toMatchInlineSnapshot(`
      "graph g (x: f32[batch, 4])
        layer.0 = linear(x, layer.0.weight f32[3, 4] #b1471fb3, layer.0.bias f32[3] {0.4685019, -0.35000312, -0.4294079})  f32[batch, 3]
      return y: layer.0"
    `);
  });

  test('leaves a weight its own name', async () => {
    expect(await raised(raiseLinear, LINEAR.replace('onnx.MatMul_7', 'tied.weight'))).toContain(
      'tied.weight f32[3, 4]',
    );
  });

  test('leaves an addend that differs between tokens', async () => {
    expect(await declined(raiseLinear, LINEAR.replace('[1, 3] #2', '[2, 3] #2').replace('batch', '2'))).toEqual([]);
  });
});

test('raise-scale turns quotients into products and joins factors', async () => {
  const text = `graph g (x: f32[batch, 4])
    a = div(x, c f32[] {4})
    b = mul(half f32[] {0.5}, a)
    y = div(b, x)
    return y: y`;
  expect(await raised(raiseScale, text)).toMatchInlineSnapshot(`
    "graph g (x: f32[batch, 4])
      b = mul(x, b.factor f32[] {0.125})  f32[batch, 4]
      y = div(b, x)  f32[batch, 4]
    return y: y"
  `);
  expect(await declined(raiseScale, 'graph g (x: f32[2])\n y = div(x, zero f32[] {0})\n return y: y')).toEqual([]);
});

test('raise-duplicates makes one value of equal ones, however deep', async () => {
  const text = `graph g (x: f32[batch, 4])
    a = mean(x)
    b = mean(x)
    c = sub(x, a)
    d = sub(x, b)
    e = mean(x) {keepDims: false}
    f = reshape(e) {shape: [batch, 1]}
    h = mul(c, d)
    y = add(h, f)
    return y: y`;
  expect(await raised(raiseDuplicates, text)).toMatchInlineSnapshot(`
    "graph g (x: f32[batch, 4])
      a = mean(x)  f32[batch, 1]
      c = sub(x, a)  f32[batch, 4]
      h = mul(c, c)  f32[batch, 4]
      e = mean(x) {keepDims: false}  f32[batch]
      f = reshape(e) {shape: [batch, 1]}  f32[batch, 1]
      y = add(h, f)  f32[batch, 4]
    return y: y"
  `);
});

describe('raise-trigram', () => {
  const trigram = (slice: string, pad: string) => `graph g (x: f32[1, 6, 4])
    s = slice(x) {axis: 1, ${slice}}
    y = pad(s) {${pad}}
    return y: y`;

  test('finds the next token', async () => {
    expect(await raised(raiseTrigram, trigram('start: 1, end: 6', 'before: [0, 0, 0], after: [0, 1, 0]'))).toContain(
      'y = shift(x) {offset: 1}',
    );
  });

  test('finds zeros that come before the cut', async () => {
    const text = `graph g (x: f32[1, 6, 4])
      p = pad(x) {before: [0, 2, 0], after: [0, 0, 0]}
      y = slice(p) {axis: 1, end: 6}
      return y: y`;
    expect(await raised(raiseTrigram, text)).toContain('y = shift(x) {offset: -2}');
    expect(await raised(raiseTrigram, text.replace('end: 6', 'start: 1, end: 7'))).toContain('{offset: -1}');
    expect(await declined(raiseTrigram, text.replace('end: 6', 'end: 7'))).toEqual([]);
  });

  test('finds the previous token', async () => {
    expect(await raised(raiseTrigram, trigram('end: 5', 'before: [0, 1, 0], after: [0, 0, 0]'))).toContain(
      'y = shift(x) {offset: -1}',
    );
  });

  test.each([
    ['start: 1, end: 6', 'before: [0, 1, 0], after: [0, 0, 0]'],
    ['start: 2, end: 6', 'before: [0, 0, 0], after: [0, 1, 0]'],
    ['start: 1, end: 6', 'before: [0, 0, 0], after: [0, 1, 1]'],
    ['start: 1, end: 5', 'before: [0, 1, 0], after: [0, 1, 0]'],
  ])('leaves %s padded by %s', async (slice, pad) => {
    expect(await declined(raiseTrigram, trigram(slice, pad))).toEqual([]);
  });
});

describe('raise-attention-mask', () => {
  const mask = (line: string) => `graph g (m: i64[batch, sequence])
    c = cast(m) {to: bool}
    ${line}
    return y: y`;

  test('writes a choice as a product', async () => {
    const text = mask('y = where(c, zero f32[] {0}, least f32[] {-10000})');
    expect(await raised(raiseAttentionMask, text)).toMatchInlineSnapshot(`
      "graph g (m: i64[batch, sequence])
        c = cast(m) {to: bool}  bool[batch, sequence]
        y.condition = cast(c)  f32[batch, sequence]
        y.padding = sub(y.one f32[] {1}, y.condition)  f32[batch, sequence]
        y = mul(y.padding, y.least f32[] {-10000})  f32[batch, sequence]
      return y: y"
    `);
  });

  test('the other way round, and behind a not', async () => {
    expect(await raised(raiseAttentionMask, mask('y = where(c, least f32[] {-10000}, zero f32[] {0})'))).not.toContain(
      'sub',
    );
    const text = mask('n = not(c)\n y = where(n, least f32[] {-10000}, zero f32[] {0})');
    expect(await raised(raiseAttentionMask, text)).toContain('sub(');
  });

  test('where it fills what is not 0 with a number', async () => {
    const text = `graph g (m: f32[batch, sequence])
      c = cast(m) {to: bool}
      y = where(c, least f32[] {-10000}, m)
      return y: y`;
    expect(await raised(raiseAttentionMask, text)).not.toContain('where');
  });

  test('where what it tests is reshaped on both ways', async () => {
    const text = (other: string) => `graph g (m: f32[batch, sequence], n: f32[batch, sequence])
      t = cast(m) {to: bool}
      c = reshape(t) {shape: [batch, 1, sequence]}
      r = reshape(${other}) {shape: [batch, 1, sequence]}
      y = where(c, least f32[] {-10000}, r)
      return y: y`;
    expect(await raised(raiseAttentionMask, text('m'))).not.toContain('where');
    expect(await raised(raiseAttentionMask, text('n'))).toContain('where');
  });

  test('leaves infinity, of which 0 times is no number', async () => {
    const text = mask('y = where(c, zero f32[] {0}, least f32[] {-Infinity})');
    expect(await declined(raiseAttentionMask, text)).toEqual(['y: 0 times -Infinity is no number']);
  });

  test('leaves a choice between two numbers', async () => {
    expect(await declined(raiseAttentionMask, mask('y = where(c, one f32[] {1}, two f32[] {2})'))).toEqual([]);
  });
});

describe('raise-softmax', () => {
  const guard = (least: string) => `graph g (x: f32[batch, sequence], w: f32[4, sequence], m: bool[batch, sequence])
    c = where(m, zero f32[] {0}, least f32[] {${least}})
    l = sigmoid(x)
    s = ${least === '-1e30' ? 'add(c, c)' : 'add(c, x)'}
    p = softmax(s)
    n = isNan(p)
    y = where(n, zeros f32[] {0}, p)
    return y: y`;

  test('takes a guard away that no row needs', async () => {
    const graph = graphOf(guard('-1e30'));
    await runPasses(graph, [raiseSoftmax]);
    expect(graph.outputs[0]?.node.op).toBe('softmax');
  });

  test('leaves it where a row may be masked to the end', async () => {
    expect(await declined(raiseSoftmax, guard('-Infinity'))).toEqual(['y: its mask may be -inf for a whole row']);
  });
});

describe('raise-attention', () => {
  const HEADS = `graph g (q: f32[batch, 2, sequence, 4], k: f32[batch, sequence, 2, 4])
    t = transpose(k) {permutation: [0, 2, 3, 1]}
    y = matmul(q, t)
    return y: y`;

  test('turns the product in place of the keys', async () => {
    expect(await raised(raiseAttention, HEADS)).toMatchInlineSnapshot(`
      "graph g (q: f32[batch, 2, sequence, 4], k: f32[batch, sequence, 2, 4])
        t = transpose(k) {permutation: [0, 2, 1, 3]}  f32[batch, 2, sequence, 4]
        y = matmul(q, t) {transposeB: true}  f32[batch, 2, sequence, sequence]
      return y: y"
    `);
  });

  test('takes keys that stand upright already for what else reads them', async () => {
    const text = `graph g (q: f32[batch, 2, sequence, 4], k: f32[batch, sequence, 2, 4])
    heads = transpose(k) {permutation: [0, 2, 1, 3]}
    t = transpose(k) {permutation: [0, 2, 3, 1]}
    y = matmul(q, t)
    return y: y, heads: heads`;
    expect(await raised(raiseAttention, text)).toMatchInlineSnapshot(`
      "graph g (q: f32[batch, 2, sequence, 4], k: f32[batch, sequence, 2, 4])
        heads = transpose(k) {permutation: [0, 2, 1, 3]}  f32[batch, 2, sequence, 4]
        y = matmul(q, heads) {transposeB: true}  f32[batch, 2, sequence, sequence]
      return y: y, heads: heads"
    `);
  });

  test('scales after the product what was scaled before', async () => {
    const text = HEADS.replace(
      'y = matmul(q, t)',
      's = mul(q, half f32[] {0.5})\n u = mul(t, half f32[] {0.5})\n y = matmul(s, u)',
    ).replace('u = mul(t, half f32[] {0.5})', 'u = mul(t, other f32[] {0.5})');
    expect(await raised(raiseAttention, text)).toMatchInlineSnapshot(`
      "graph g (q: f32[batch, 2, sequence, 4], k: f32[batch, sequence, 2, 4])
        t = transpose(k) {permutation: [0, 2, 1, 3]}  f32[batch, 2, sequence, 4]
        matmul_0 = matmul(q, t) {transposeB: true}  f32[batch, 2, sequence, sequence]
        y = mul(matmul_0, y.factor f32[] {0.25})  f32[batch, 2, sequence, sequence]
      return y: y"
    `);
  });

  test('leaves the values as they are', async () => {
    const text = `graph g (p: f32[batch, 2, sequence, sequence], v: f32[batch, sequence, 2, 4])
      t = transpose(v) {permutation: [0, 2, 1, 3]}
      y = matmul(p, t)
      return y: y`;
    expect(await declined(raiseAttention, text)).toEqual([]);
  });
});

describe('raise-layout', () => {
  test('joins reshapes and turns', async () => {
    const text = `graph g (x: f32[2, 3, 4])
      a = reshape(x) {shape: [6, 4]}
      b = reshape(a) {shape: [2, 12]}
      c = transpose(b) {permutation: [1, 0]}
      d = transpose(c) {permutation: [1, 0]}
      y = reshape(d) {shape: [24]}
      return y: y`;
    expect(await raised([raiseLayout, raiseLayout], text)).toMatchInlineSnapshot(`
      "graph g (x: f32[2, 3, 4])
        y = reshape(x) {shape: [24]}  f32[24]
      return y: y"
    `);
  });

  test('leaves out a slice of everything', async () => {
    const text = `graph g (x: f32[1, 4])
      row = slice(x) {axis: 0, start: 0, end: 1}
      y = relu(row)
      return y: y`;
    expect(await raised(raiseLayout, text)).toContain('y = relu(x)');
  });

  test('leaves a norm the one value that it centres, though its mean would broadcast', async () => {
    const text = `graph g (x: f32[3, 4])
      a = reshape(x) {shape: [1, 3, 4]}
      m = mean(a)
      y = sub(a, m)
      return y: y`;
    expect(await declined(raiseLayout, text)).toEqual([]);
  });

  test('knows a turn of the last axes in three steps', async () => {
    const text = `graph g (k: f32[1, 2, 5, 4])
      a = reshape(k) {shape: [2, 5, 4]}
      b = transpose(a) {permutation: [0, 2, 1]}
      y = reshape(b) {shape: [1, 2, 4, 5]}
      return y: y`;
    expect(await raised(raiseLayout, text)).toContain('y = transpose(k) {permutation: [0, 1, 3, 2]}');
    expect(await after(raiseLayout, text.replace('[1, 2, 4, 5]', '[1, 4, 2, 5]'))).not.toContain('transpose(k)');
  });

  test('drops axes of size 1 that broadcasting adds again', async () => {
    const text = `graph g (x: f32[batch, sequence, 4])
      t = slice(table f32[8, 4] #1) {end: sequence}
      p = reshape(t) {shape: [1, sequence, 4]}
      y = add(x, p)
      return y: y`;
    expect(await raised(raiseLayout, text)).toContain('y = add(x, t)');
  });
});

test('raise-stored-constants reads weights as the numbers that they stand for', async () => {
  const graph = graphOf('graph g (x: f32[1, 2])\n return y: x');
  const bytes = Int8Array.of(2, -4);
  const quant = { per: 'tensor', scale: 0.5, zeroPoint: 1 } as const;
  const weight = graph.constant(tensorOf('i8', [1, 2], bytes), 'w', quant);
  graph.output('z', graph.add('linear', [graph.inputs[0] as never, weight], {}, 'z'));
  await runPasses(graph, [raiseStoredConstants]);
  expect(graphText(graph)).toMatchInlineSnapshot(`
    "graph g (x: f32[1, 2])
      z = linear(x, w f32[1, 2] {0.5, -2.5})  f32[1, 1]
    return y: x, z: z"
  `);
});
