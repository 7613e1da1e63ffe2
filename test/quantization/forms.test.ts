import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Call, Graph } from '../../src/ir/graph.ts';
import type { NodeStatistics } from '../../src/ir/statistics.ts';
import { readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { graphText } from '../../src/ir/text.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import type { Form, FormRequest } from '../../src/quantization/forms/form.ts';
import { integerGemms } from '../../src/quantization/forms/integer-gemms.ts';
import { integerGraph, strictIntegerGraph } from '../../src/quantization/forms/integer-graph.ts';
import { weightsOnly } from '../../src/quantization/forms/weights-only.ts';
import { observedNodes } from '../../src/quantization/plan.ts';
import { chooseQuants } from '../../src/quantization/ranges.ts';
import { rebuild } from '../../src/quantization/rebuild.ts';
import type { Settings } from '../../src/quantization/settings.ts';
import { graphOf, randomTensor } from '../core.ts';

const int8: FormRequest = {
  scheme: 'int8',
  granularity: 'channel',
  rounding: 'nearest',
  range: 'minmax',
  integerOutputs: false,
};

/** A feed-forward block on a residual stream, and a head with two outputs. */
const FFN = `graph ffn (ids: i32[1, 8])
  words = gather(table f32[50, 16] #5, ids)
  front = linear(words, front.w f32[32, 16] #6)
  block = linear(front, block.w f32[32, 32] #7, block.b f32[32] #8)
  up = linear(block, up.w f32[64, 32] #1, up.b f32[64] #2) {activation: relu}
  down = linear(up, down.w f32[32, 64] #3)
  sum = add(block, down)
  last = linear(sum, last.w f32[32, 32] #9)
  head = linear(last, head.w f32[2, 32] #a)
return logits: head`;

/** One head of attention with a mask, its value and key from one linear. */
const ATTENTION = `graph attention (x: f32[1, 6, 16], mask: f32[1, 1, 6])
  qkv = linear(x, w f32[48, 16] #1, b f32[48] #2)
  q = slice(qkv) {axis: 2, start: 0, end: 16}
  k = slice(qkv) {axis: 2, start: 16, end: 32}
  v = slice(qkv) {axis: 2, start: 32, end: 48}
  scores = matmul(q, k) {transposeB: true}
  masked = add(scores, mask)
  p = softmax(masked)
  mixed = matmul(p, v)
  out = linear(mixed, o f32[16, 16] #3)
  sum = add(x, out)
  norm = layerNorm(sum, g f32[16] #4, c f32[16] #5) {epsilon: 1e-12}
return y: norm`;

const feedsOf = (graph: Graph) =>
  new Map(
    graph.inputs.map(({ name, type }, i) => [name, randomTensor({ ...type, shape: type.shape as number[] }, 40 + i)]),
  );

function quantized(
  form: Form,
  text: string,
  request = int8,
  change: (settings: Map<Call, Settings>) => void = () => {},
  feed: (graph: Graph) => ReadonlyMap<string, Tensor> = feedsOf,
  changeObserved: (settings: Map<Call, Settings>) => void = () => {},
) {
  const graph = graphOf(text);
  const settings = new Map<Call, Settings>();
  for (const node of graph.nodes()) {
    if (node.op === 'input' || node.op === 'constant') continue;
    const found = form.settingsOf(node, request);
    if (found) settings.set(node, found);
  }
  change(settings);
  const observed = observedNodes(form.plan(graph, settings, request));
  const feeds = feed(graph);
  const values = evaluate(graph, feeds, observed);
  const statistics = new Map(observed.map(({ name }) => [name, statisticsOf(values.get(name) as Tensor)]));
  changeObserved(settings);
  const plan = form.plan(graph, settings, request);
  const result = rebuild(plan, { quants: chooseQuants(plan, statistics), integerOutputs: request.integerOutputs });
  verifyGraph(result, form.name);
  return { graph, result, sqnr: sqnr(evaluate(graph, feeds), evaluate(result, feeds)) };
}

function statisticsOf(tensor: Tensor): NodeStatistics {
  const values = readF32(tensor);
  return { rows: 1, min: Math.min(...values), max: Math.max(...values), mean: 0, rms: 1 };
}

function sqnr(expected: ReadonlyMap<string, Tensor>, actual: ReadonlyMap<string, Tensor>): number {
  let signal = 0;
  let noise = 0;
  for (const [name, tensor] of expected) {
    const values = readF32(actual.get(name) as Tensor);
    readF32(tensor).forEach((value, i) => {
      signal += value ** 2;
      noise += (value - (values[i] as number)) ** 2;
    });
  }
  return 10 * Math.log10(signal / noise);
}

/** Names and types only: what is stored how. */
const outline = (graph: Graph) =>
  graphText(graph)
    .replaceAll(/ #[0-9a-f]{8}/g, '')
    .replaceAll(/q\((axis \d+)(, )?/g, 'q($1')
    .replaceAll(/\d\.\d{5,}/g, (digits) => Number(digits).toPrecision(3));

describe('integer-gemms', () => {
  test('linears read u8 copies, ReLU writes u8, front and narrow head stay float, the table is stored as i8', () => {
    const { result, sqnr } = quantized(integerGemms, FFN);
    expect(outline(result)).toMatchInlineSnapshot(`
      "graph ffn (ids: i32[1, 8])
        words = gather(table i8[50, 16] q(axis 0,), ids)  f32[1, 8, 16]
        front = linear(words, front.w f32[32, 16])  f32[1, 8, 32]
        front.quantized = quantize(front)  u8[1, 8, 32] q(0.0295, 140)
        block = linear(front.quantized, block.w i8[32, 32] q(axis 0,), block.b f32[32])  f32[1, 8, 32]
        block.quantized = quantize(block)  u8[1, 8, 32] q(0.105, 105)
        up = linear(block.quantized, up.w i8[64, 32] q(axis 0,), up.b f32[64]) {activation: relu}  u8[1, 8, 64] q(0.232, 0)
        down = linear(up, down.w i8[32, 64] q(axis 0,))  f32[1, 8, 32]
        sum = add(block, down)  f32[1, 8, 32]
        sum.quantized = quantize(sum)  u8[1, 8, 32] q(1.06, 137)
        last = linear(sum.quantized, last.w i8[32, 32] q(axis 0,))  f32[1, 8, 32]
        head = linear(last, head.w f32[2, 32])  f32[1, 8, 2]
      return logits: head"
    `);
    expect(sqnr).toBeGreaterThan(35);
  });

  test('a ReLU that others read too keeps writing float', () => {
    const { result } = quantized(integerGemms, FFN.replace('return', '  up2 = mul(up, up)\nreturn also: up2,'));
    expect(graphText(result)).toMatch(/ up = linear\(.*f32\[1, 8, 64\]\n/);
    expect(graphText(result)).toContain('up.quantized = quantize(up)  u8');
  });

  test('a linear kept float reads float, also behind a ReLU that wrote integers', () => {
    const { result } = quantized(integerGemms, FFN, int8, (settings) => {
      for (const [node, current] of settings)
        if (node.name === 'down') settings.set(node, { ...current, scheme: 'float' });
    });
    expect(graphText(result)).toMatch(/down = linear\(up, down.w f32\[32, 64\]/);
    expect(graphText(result)).toMatch(/ up = linear\(block.quantized, .*f32\[1, 8, 64\]\n/);
  });

  test('the source graph stays as it is', () => {
    const before = graphText(graphOf(FFN));
    expect(graphText(quantized(integerGemms, FFN).graph)).toBe(before);
  });

  test('int16x8 reads symmetric i16', () => {
    const { result, sqnr } = quantized(integerGemms, FFN, { ...int8, scheme: 'int16x8' });
    expect(graphText(result)).toMatch(/block.quantized = quantize\(block\) {2}i16\[1, 8, 32\] q\(.*, 0\)/);
    expect(sqnr).toBeGreaterThan(36);
  });
});

describe('integer-graph', () => {
  test('the residual stream is integers from the float front to the float head', () => {
    const { result, sqnr } = quantized(integerGraph, FFN);
    expect(outline(result)).toMatchInlineSnapshot(`
      "graph ffn (ids: i32[1, 8])
        words = gather(table i8[50, 16] q(axis 0,), ids)  f32[1, 8, 16]
        front = linear(words, front.w f32[32, 16])  f32[1, 8, 32]
        front.quantized = quantize(front)  i8[1, 8, 32] q(0.0295, 12)
        block = linear(front.quantized, block.w i8[32, 32] q(axis 0,), block.b f32[32])  i8[1, 8, 32] q(0.105, -23)
        up = linear(block, up.w i8[64, 32] q(axis 0,), up.b f32[64]) {activation: relu}  i8[1, 8, 64] q(0.232, -128)
        down = linear(up, down.w i8[32, 64] q(axis 0,))  i8[1, 8, 32] q(1.08, 7)
        sum = add(block, down)  i8[1, 8, 32] q(1.06, 9)
        last = linear(sum, last.w i8[32, 32] q(axis 0,))  i8[1, 8, 32] q(3.04, 27)
        last.float = dequantize(last)  f32[1, 8, 32]
        head = linear(last.float, head.w f32[2, 32])  f32[1, 8, 2]
      return logits: head"
    `);
    expect(sqnr).toBeGreaterThan(30);
  });

  test('softmax, mask and norm stay float; key and value have zero point 0, slices the scale of what they cut', () => {
    const { result, sqnr } = quantized(integerGraph, ATTENTION);
    expect(outline(result)).toMatchInlineSnapshot(`
      "graph attention (x: f32[1, 6, 16], mask: f32[1, 1, 6])
        x.quantized = quantize(x)  i8[1, 6, 16] q(0.00773, 0)
        qkv = linear(x.quantized, w i8[48, 16] q(axis 0,), b f32[48])  i8[1, 6, 48] q(0.0350, 0)
        q = slice(qkv) {axis: 2, end: 16}  i8[1, 6, 16] q(0.0350, 0)
        k = slice(qkv) {axis: 2, start: 16, end: 32}  i8[1, 6, 16] q(0.0350, 0)
        scores = matmul(q, k) {transposeB: true}  i8[1, 6, 6] q(0.127, -11)
        scores.float = dequantize(scores)  f32[1, 6, 6]
        masked = add(scores.float, mask)  f32[1, 6, 6]
        p = softmax(masked)  f32[1, 6, 6]
        p.quantized = quantize(p)  i8[1, 6, 6] q(0.00391, -128)
        v = slice(qkv) {axis: 2, start: 32, end: 48}  i8[1, 6, 16] q(0.0350, 0)
        mixed = matmul(p.quantized, v)  i8[1, 6, 16] q(0.0289, -6)
        out = linear(mixed, o i8[16, 16] q(axis 0,))  i8[1, 6, 16] q(0.0642, -20)
        out.float = dequantize(out)  f32[1, 6, 16]
        sum = add(x, out.float)  f32[1, 6, 16]
        norm = layerNorm(sum, g f32[16], c f32[16])  f32[1, 6, 16]
      return y: norm"
    `);
    expect(sqnr).toBeGreaterThan(30);
  });

  test('what is cut from a linear that turns float after calibration has the range that the linear had', () => {
    const toDynamic = (settings: Map<Call, Settings>) => {
      for (const [node, found] of settings)
        if (node.name === 'qkv') settings.set(node, { ...found, scheme: 'dynamic' });
    };
    const { result, sqnr } = quantized(integerGraph, ATTENTION, int8, () => {}, feedsOf, toDynamic);
    const { result: before } = quantized(integerGraph, ATTENTION);
    const quantOf = (graph: Graph, op: string, name: string) =>
      graph.nodes().find((node) => node.op === op && (node.name === name || node.inputs[0]?.name === name))?.type.quant;
    expect(quantOf(before, 'slice', 'k')).toMatchObject({ per: 'tensor', zeroPoint: 0 });
    expect(quantOf(result, 'quantize', 'k')).toEqual(quantOf(before, 'slice', 'k'));
    expect(sqnr).toBeGreaterThan(30);
  });

  test('int16x8 has no zero points at all', () => {
    const { result, sqnr } = quantized(integerGraph, ATTENTION, { ...int8, scheme: 'int16x8' });
    expect(graphText(result)).not.toMatch(/i8\[[^\]]*\] q\([\d.e-]+/);
    for (const node of result.nodes()) {
      if (node.type.quant?.per === 'tensor') expect(node.type.quant.zeroPoint).toBe(0);
    }
    expect(sqnr).toBeGreaterThan(36);
  });

  test('integer outputs stay as they are stored', () => {
    const { result } = quantized(integerGraph, FFN, { ...int8, integerOutputs: true });
    expect(graphText(result)).toMatch(/ head = linear\(last, .* i8\[1, 8, 2\] q\(/);
    expect(graphText(result)).toMatch(/return logits: head$/);
  });
});

describe('strict-integer-graph', () => {
  test('softmax and mask are integers', () => {
    const { result } = quantized(strictIntegerGraph, ATTENTION);
    expect(graphText(result)).toMatch(/ masked = add\(scores, mask.quantized\) {2}i8/);
    expect(graphText(result)).toMatch(/ p = softmax\(masked\) {2}i8\[1, 6, 6\] q\(0.00390625, -128\)/);
  });

  test('a mask of any depth is held 20 below the scores, and still masks', () => {
    const masked = ATTENTION.replace(
      'masked = add(scores, mask)',
      'deep = mul(mask, depth f32[] {1e30})\n  masked = add(scores, deep)',
    );
    const feeds = (graph: Graph) =>
      new Map([...feedsOf(graph), ['mask', tensorOf('f32', [1, 1, 6], Float32Array.of(0, 0, 0, -1, -1, -1))]]);
    const { result, sqnr } = quantized(strictIntegerGraph, masked, int8, undefined, feeds);
    const scale = /deep.quantized = quantize\(deep.clamped\) {2}i8\[1, 1, 6\] q\(([\d.]+), 127\)/.exec(
      graphText(result),
    )?.[1];
    expect(255 * Number(scale)).toBeGreaterThan(20);
    expect(255 * Number(scale)).toBeLessThan(60);
    expect(sqnr).toBeGreaterThan(25);
  });

  test.each([
    ['with a mask', 'biased = add(bias, mask)\n  masked = add(scores, biased)'],
    ['by itself', 'masked = add(scores, bias)'],
  ])('a bias for each pair of tokens, %s, is not cut off above 0', (_, sum) => {
    // Up to 9, where the scores reach 17.
    const bias = 'bias = mul(small f32[6, 6] #5, nine f32[] {9})\n  ';
    const text = ATTENTION.replace('masked = add(scores, mask)', bias + sum);
    const feeds = (graph: Graph) =>
      new Map([...feedsOf(graph), ['mask', tensorOf('f32', [1, 1, 6], Float32Array.of(0, 0, 0, 0, -1e4, -1e4))]]);
    expect(quantized(strictIntegerGraph, text, int8, undefined, feeds).sqnr).toBeGreaterThan(25);
  });
});

describe('weights-only', () => {
  test('values stay float, weights become i8 per channel', () => {
    const { result, sqnr } = quantized(weightsOnly, FFN, { ...int8, scheme: 'dynamic' });
    expect(graphText(result)).not.toContain('quantize');
    expect(graphText(result)).toMatch(/down = linear\(up, down.w i8\[32, 64\] q\(axis 0, /);
    expect(sqnr).toBeGreaterThan(36);
  });

  test('w4 stores blocks of 32 where a row has whole ones, tables as i8', () => {
    const { result } = quantized(weightsOnly, FFN, { ...int8, scheme: 'w4', granularity: 'block' });
    expect(graphText(result)).toMatch(/down = linear\(up, down.w i4\[32, 64\] q\(axis 1 by 32, /);
    expect(graphText(result)).toMatch(/words = gather\(table i8\[50, 16\] q\(axis 0, /);
  });
});

describe('blocks for ONNX Runtime', () => {
  const EMBEDDINGS = `graph embeddings (ids: i64[1, sequence])
  words = gather(table f32[50, 64] #1, ids)
  cut = slice(places f32[32, 64] #2) {axis: 0, end: sequence}
  sum = add(words, cut)
  up = linear(sum, up.w f32[128, 64] #3)
return out: up`;
  const blocks = { w4: 32, w8: 64, hasZeroPoints: true, hasTables: true };

  function stored(scheme: 'w4' | 'dynamic', more: Partial<FormRequest> = { blocks }): string[] {
    const request: FormRequest = { ...int8, scheme, granularity: 'block', ...more };
    const graph = graphOf(EMBEDDINGS);
    const settings = new Map<Call, Settings>();
    for (const node of graph.nodes()) {
      const own = node.op === 'input' || node.op === 'constant' ? undefined : weightsOnly.settingsOf(node, request);
      if (own) settings.set(node as Call, own);
    }
    const result = rebuild(weightsOnly.plan(graph, settings, request), { quants: new Map() });
    return [...graphText(result).matchAll(/(?:table|places|up\.w) ([a-z0-9]+\[\d+, \d+\](?: q\([^#]*)?)/g)].map(
      ([, type]) => type as string,
    );
  }

  test('hold 4 bits with zero points and tables of them, 8 bits, and positions by rows', () => {
    expect(stored('w4')).toEqual([
      'u4[50, 64] q(axis 1 by 32, ',
      'i8[32, 64] q(axis 0, ',
      'u4[128, 64] q(axis 1 by 32, ',
    ]);
    expect(stored('dynamic')).toEqual([
      'i8[50, 64] q(axis 0, ',
      'i8[32, 64] q(axis 0, ',
      'i8[128, 64] q(axis 1 by 64, ',
    ]);
  });

  test('are for that target alone: elsewhere tables have 8 bits, and positions stay', () => {
    expect(stored('w4', {})).toEqual(['i8[50, 64] q(axis 0, ', 'f32[32, 64]', 'i4[128, 64] q(axis 1 by 32, ']);
  });
});
