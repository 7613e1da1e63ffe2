import { describe, expect, test } from 'vitest';
import type { TfliteOptions } from '../../src/exporters/tflite.ts';
import { decodeFlatbuffer } from '../../src/formats/tflite/decode.ts';
import { modelMetadataRoot } from '../../src/formats/tflite/generated/metadata.ts';
import { modelRoot } from '../../src/formats/tflite/generated/model.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { convertTensor, readF32, type Tensor, type TensorType, tensorOf } from '../../src/ir/tensor.ts';
import { litert } from '../../src/runtimes/litert.ts';
import { graphOf, randomTensor } from '../core.ts';
import { bytesOf, fixLength, listing, modelOf } from './tflite-lab.ts';

/** f32 kernels differ from the evaluator in the order of their sums only; relative to an output's largest value. */
const TOLERANCE = 1e-5;

/** Runs a graph in LiteRT, and `reference` by the evaluator. */
async function compare(graph: Graph, options: Partial<TfliteOptions> = {}, reference = graph): Promise<void> {
  const feeds = new Map(
    graph.inputs.map(({ name, type }, i) => [name, randomTensor(type as TensorType & { shape: number[] }, i + 1)]),
  );
  await compareBytes(await bytesOf(graph, options), feeds, reference);
}

async function compareBytes(bytes: Uint8Array, feeds: ReadonlyMap<string, Tensor>, reference: Graph): Promise<void> {
  const session = await litert.load(bytes);
  try {
    const got = await session.run(feeds);
    for (const [name, want] of evaluate(reference, feeds)) {
      const values = readF32(got.get(name) as Tensor);
      const wanted = readF32(want);
      expect(got.get(name)?.shape, name).toEqual(want.shape);
      const largest = wanted.reduce((max, value) => Math.max(max, Math.abs(value)), 1);
      const error = wanted.reduce((max, value, i) => Math.max(max, Math.abs(value - (values[i] as number))), 0);
      expect(error, name).toBeLessThanOrEqual(TOLERANCE * largest);
    }
  } finally {
    await session.close();
  }
}

const LESS =
  'zero = sub(one f32[] {1}, one) l = compare(x, zero) {test: less} m = compare(x, w f32[8] #1) {test: greater}';

const OPS: readonly (readonly [string, string])[] = [
  ['linear', 'y = linear(x, w f32[4, 8] #1, b f32[4] #2)'],
  ['linear with relu and no bias', 'y = linear(x, w f32[4, 8] #1) {activation: relu}'],
  ['linear on a matrix', 'r = reshape(x) {shape: [6, 8]} y = linear(r, w f32[4, 8] #1, b f32[4] #2)'],
  [
    'linear on a vector',
    's = slice(x) {axis: 1, end: 1} r0 = slice(s) {axis: 0, end: 1} r = reshape(r0) {shape: [8]} y = linear(r, w f32[4, 8] #1)',
  ],
  ['matmul', 'y = matmul(x, w f32[2, 8, 5] #1)'],
  ['matmul with a transpose', 'y = matmul(x, x) {transposeB: true}'],
  ['conv1d', 'y = conv1d(x, w f32[4, 3, 8] #1, b f32[4] #2)'],
  ['conv1d of width 5 without bias', 'y = conv1d(x, w f32[4, 5, 8] #1)'],
  ['add', 'y = add(x, w f32[8] #1)'],
  ['add of scalars', 'y = add(one f32[] {1}, x)'],
  ['sub', 'y = sub(x, w f32[3, 8] #1)'],
  ['mul', 'y = mul(x, w f32[2, 1, 8] #1)'],
  ['div', 'y = div(w f32[8] #1, d f32[] {4})  z = add(x, y)'],
  ['relu', 'y = relu(x)'],
  ['gelu', 'y = gelu(x)'],
  ['gelu of google BERT', 'y = gelu(x) {tanh: true}'],
  ['tanh', 'y = tanh(x)'],
  ['sigmoid', 'y = sigmoid(x)'],
  ['sqrt', 's = mul(x, x) y = sqrt(s)'],
  ['rsqrt', 's0 = mul(x, x) s = add(s0, one f32[] {1}) y = rsqrt(s)'],
  ['softmax', 'y = softmax(x)'],
  ['softmax of another axis', 'y = softmax(x) {axis: 1}'],
  ['erf', 'y = erf(x)'],
  [
    'erf of a thousandth and of zero',
    's = mul(x, k f32[8] {0, 0, 0.001, 0.001, -0.001, -0.001, 1e-20, 100}) y = erf(s)',
  ],
  ['sum', 'y = sum(x) {axis: 1}'],
  ['sum of integers that drops its axis', 's = sum(i) {keepDims: false} y = cast(s) {to: f32}'],
  ['maximum', 'y = maximum(x, w f32[8] #1)'],
  ['minimum', 'y = minimum(x, w f32[3, 8] #1)'],
  ['expand', 'y = expand(x) {shape: [2, 2, 3, 8]}'],
  ['range', 'r = range() {end: 8, to: i32} f = cast(r) {to: f32} y = add(x, f)'],
  ...['equal', 'less', 'lessOrEqual', 'greater', 'greaterOrEqual'].map(
    (test) => [`compare: ${test}`, `c = compare(i, one i32[] {1}) {test: ${test}} y = cast(c) {to: f32}`] as const,
  ),
  ['and, or, not', `${LESS} a = and(l, m) n = not(a) o = or(n, l) y = cast(o) {to: f32}`],
  ['where', `${LESS} y = where(l, x, zero)`],
  [
    'where of a mask that is minus infinity',
    'm = compare(x, k f32[8] {-9, 9, -9, 9, 9, 9, 9, 9}) {test: greater} w = where(m, none f32[] {0}, least f32[] {-Infinity}) s = add(x, w) y = softmax(s)',
  ],
  ['isNan', `${LESS} q = div(zero, zero) w = where(l, x, q) n = isNan(w) y = where(n, zero, x)`],
  ['gather of the last element', 'y = gather(x, at i32[] {-1}) {axis: 1}'],
  ['gather from both ends', 'y = gather(x, at i32[3] {-1, 0, -2}) {axis: 1}'],
  ['layerNorm', 'y = layerNorm(x, g f32[8] #1, c f32[8] #2) {epsilon: 0.001}'],
  ['noNorm', 'y = noNorm(x, g f32[8] #1, c f32[8] #2)'],
  ['ceil', 'y = ceil(x)'],
  ['cos', 'y = cos(x)'],
  ['sin', 'y = sin(x)'],
  ['log', 's0 = mul(x, x) s = add(s0, one f32[] {1}) y = log(s)'],
  ['maximum', 'y = maximum(x, w f32[8] #1)'],
  ['normalize', 'y = normalize(x)'],
  ['normalize of a vector shorter than epsilon', 's = mul(x, tiny f32[] {1e-4}) y = normalize(s) {epsilon: 0.01}'],
  ['sum', 'y = sum(x) {axis: 1}'],
  ['sum that drops its axis', 'y = sum(x) {axis: 1, keepDims: false}'],
  ['max', 'y = max(x)'],
  ['max that drops its axis', 'y = max(x) {axis: 1, keepDims: false}'],
  ['mean', 'y = mean(x) {axis: 1}'],
  ['mean that drops its axis', 'y = mean(x) {axis: 2, keepDims: false}'],
  ['reshape', 'y = reshape(x) {shape: [2, 3, 2, 4]}'],
  ['transpose', 'y = transpose(x) {permutation: [2, 0, 1]}'],
  ['concat', 'y = concat(x, w f32[2, 1, 8] #1, x) {axis: 1}'],
  ['pad', 'y = pad(x) {before: [0, 1, 2], after: [1, 0, 3]}'],
  ['slice', 'y = slice(x) {axis: -1, start: 2, end: 7}'],
  [
    'slices that cover their value',
    'a = slice(x) {axis: 2, end: 4} b = slice(x) {axis: -1, start: 4, end: 8} y = sub(a, b)',
  ],
  ['slices with a gap', 'a = slice(x) {axis: 2, end: 3} b = slice(x) {axis: 2, start: 4, end: 7} y = sub(a, b)'],
  [
    'slices of unequal length',
    'a = slice(x) {axis: 2, end: 3} b = slice(x) {axis: 2, start: 3, end: 8} y = concat(a, b)',
  ],
  ['shift to the next', 'y = shift(x) {axis: 1, offset: 1}'],
  ['shift to the one before the last', 'y = shift(x) {axis: 1, offset: -2}'],
  ['gather of rows', 'y = gather(t f32[4, 5] #1, i)'],
  ['gather of columns', 'y = gather(x, i) {axis: 1}'],
  ['gather of integers', 'g = gather(t i32[4] {7, 8, 9, 6}, i) y = cast(g) {to: f32}'],
  ['cumulativeSum', 'y = cumulativeSum(x) {axis: 1}'],
  ['cumulativeSum of integers', 's = cumulativeSum(i) y = cast(s) {to: f32}'],
  ['compare with equal', 'e = compare(i, one i32[] {1}) y = cast(e) {to: f32}'],
  ['compare with less', 'e = compare(x, c f32[] {0}) {test: less} y = cast(e) {to: f32}'],
  ['compare with lessOrEqual', 'e = compare(i, one i32[] {1}) {test: lessOrEqual} y = cast(e) {to: f32}'],
  ['compare with greater', 'e = compare(x, c f32[8] #1) {test: greater} y = cast(e) {to: f32}'],
  ['compare with greaterOrEqual', 'e = compare(i, one i32[] {1}) {test: greaterOrEqual} y = cast(e) {to: f32}'],
  ['not', 'e = compare(i, one i32[] {1}) n = not(e) y = cast(n) {to: f32}'],
  ['cast', 'c = cast(i) {to: f32} y = sub(one f32[] {1}, c)'],
];

describe('LiteRT computes what the evaluator does', () => {
  test.each(OPS)('%s', async (_, body) => {
    const last = body.includes(' z = ') ? 'z' : 'y';
    await compare(graphOf(`graph g (x: f32[2, 3, 8], i: i32[2, 2]) ${body} return out: ${last}`));
  });
});

/** A one-layer model with everything around attention. */
const encoder = (
  sequence: number | string,
) => `graph tiny (input_ids: i32[1, ${sequence}], attention_mask: i32[1, ${sequence}])
  words = gather(words.weight f32[64, 32] #1, input_ids)
  positions = slice(positions.weight f32[40, 32] #2) {axis: 0, end: ${sequence}}
  x = add(words, positions)
  ones = cast(attention_mask) {to: f32}
  padding = sub(one f32[] {1}, ones)
  scaled = mul(padding, least f32[] {-10000})
  mask = reshape(scaled) {shape: [1, 1, 1, ${sequence}]}
  qkv = linear(x, qkv.weight f32[96, 32] #3, qkv.bias f32[96] #4)
  q0 = slice(qkv) {axis: 2, end: 32}
  k0 = slice(qkv) {axis: 2, start: 32, end: 64}
  v0 = slice(qkv) {axis: 2, start: 64, end: 96}
  q1 = reshape(q0) {shape: [1, ${sequence}, 4, 8]}
  k1 = reshape(k0) {shape: [1, ${sequence}, 4, 8]}
  v1 = reshape(v0) {shape: [1, ${sequence}, 4, 8]}
  q = transpose(q1) {permutation: [0, 2, 1, 3]}
  k = transpose(k1) {permutation: [0, 2, 1, 3]}
  v = transpose(v1) {permutation: [0, 2, 1, 3]}
  products = matmul(q, k) {transposeB: true}
  masked = add(products, mask)
  p = softmax(masked)
  mixed = matmul(p, v)
  together = transpose(mixed) {permutation: [0, 2, 1, 3]}
  context = reshape(together) {shape: [1, ${sequence}, 32]}
  dense = linear(context, dense.weight f32[2, 32] #5, dense.bias f32[2] #6)
  return logits: dense`;

test('a whole layer agrees with the evaluator', async () => {
  await compare(graphOf(encoder(12)));
});

test('a layer with f16 weights is the layer with its large weights rounded, nothing else', async () => {
  const rounded = graphOf(encoder(12));
  for (const node of rounded.nodes()) {
    if (node.op !== 'constant' || sizeOf(node.tensor.shape) < 1024) continue;
    rounded.replace(node, () => rounded.constant(convertTensor(node.tensor, 'f16')));
  }
  await compare(graphOf(encoder(12)), { dtype: 'f16' }, rounded);
  await expect(compare(graphOf(encoder(12)), { dtype: 'f16' })).rejects.toThrow('logits');
});

test('a layer of fixed length, operator by operator', async () => {
  expect(listing(await modelOf(encoder(12)))).toMatchInlineSnapshot(`
    "input_ids/flat = RESHAPE 1(input_ids, shape_12)
    words/rows = EMBEDDING_LOOKUP 1(input_ids/flat, words.weight)
    words = RESHAPE 1(words/rows, shape_1_12_32)
    positions = SLICE 1(positions.weight, begin_0_0, size_12_32)
    x = ADD 1(words, positions)
    qkv = FULLY_CONNECTED 5(x, qkv.weight, qkv.bias)
    q0, k0, v0 = SPLIT 1(axis_2, qkv)
    q1 = RESHAPE 1(q0, shape_1_12_4_8)
    q = TRANSPOSE 1(q1, permutation_0_2_1_3)
    k1 = RESHAPE 1(k0, shape_1_12_4_8)
    k = TRANSPOSE 1(k1, permutation_0_2_1_3)
    products = BATCH_MATMUL 1(q, k)
    ones = CAST 1(attention_mask)
    padding = SUB 1(one, ones)
    scaled = MUL 1(padding, least)
    mask = RESHAPE 1(scaled, shape_1_1_1_12)
    masked = ADD 1(products, mask)
    p = SOFTMAX 1(masked)
    v1 = RESHAPE 1(v0, shape_1_12_4_8)
    v = TRANSPOSE 1(v1, permutation_0_2_1_3)
    mixed = BATCH_MATMUL 1(p, v)
    together = TRANSPOSE 1(mixed, permutation_0_2_1_3)
    context = RESHAPE 1(together, shape_1_12_32)
    logits = FULLY_CONNECTED 5(context, dense.weight, dense.bias)"
  `);
});

test('a layer of any length leaves one size to the run everywhere', async () => {
  const model = await modelOf(encoder('sequence'));
  expect(listing(model)).toMatchInlineSnapshot(`
    "input_ids/flat = RESHAPE 1(input_ids, shape_m1)
    words/rows = EMBEDDING_LOOKUP 1(input_ids/flat, words.weight)
    words = RESHAPE 1(words/rows, shape_1_m1_32)
    positions/zeros = MUL 1(input_ids, scalar_i32_0)
    positions/ones = ADD 1(positions/zeros, scalar_i32_1)
    positions/count = CUMSUM 1(positions/ones, axis_1)
    positions = RESHAPE 1(positions/count, shape_m1)
    positions/rows = EMBEDDING_LOOKUP 1(positions, positions.weight)
    positions_1 = RESHAPE 1(positions/rows, shape_m1_32)
    x = ADD 1(words, positions_1)
    qkv = FULLY_CONNECTED 5(x, qkv.weight, qkv.bias)
    q0, k0, v0 = SPLIT 1(axis_2, qkv)
    q1 = RESHAPE 1(q0, shape_1_m1_4_8)
    q = TRANSPOSE 1(q1, permutation_0_2_1_3)
    k1 = RESHAPE 1(k0, shape_1_m1_4_8)
    k = TRANSPOSE 1(k1, permutation_0_2_1_3)
    products = BATCH_MATMUL 1(q, k)
    ones = CAST 1(attention_mask)
    padding = SUB 1(one, ones)
    scaled = MUL 1(padding, least)
    mask = RESHAPE 1(scaled, shape_1_1_1_m1)
    masked = ADD 1(products, mask)
    p = SOFTMAX 1(masked)
    v1 = RESHAPE 1(v0, shape_1_m1_4_8)
    v = TRANSPOSE 1(v1, permutation_0_2_1_3)
    mixed = BATCH_MATMUL 1(p, v)
    together = TRANSPOSE 1(mixed, permutation_0_2_1_3)
    context = RESHAPE 1(together, shape_1_m1_32)
    logits = FULLY_CONNECTED 5(context, dense.weight, dense.bias)"
  `);
  const { tensors = [], inputs = [] } = model.subgraphs?.[0] ?? {};
  expect(inputs.map((index) => tensors[index])).toMatchObject([
    { name: 'input_ids', type: 'INT32', shape: [1, 1], shapeSignature: [1, -1] },
    { name: 'attention_mask', type: 'INT32', shape: [1, 1], shapeSignature: [1, -1] },
  ]);
  const shapes = model.subgraphs?.[0]?.operators
    ?.filter(({ builtinOptions }) => builtinOptions?.kind === 'ReshapeOptions')
    .map(({ inputs: read = [] }) => model.buffers?.[tensors[read[1] as number]?.buffer as number]?.data);
  for (const shape of shapes ?? []) {
    const sizes = new Int32Array((shape as Uint8Array).slice().buffer);
    expect(sizes.filter((size) => size === -1).length).toBe(1);
  }
});

test.each([1, 12, 40])('a layer of any length computes what the evaluator does for %i tokens', async (length) => {
  const graph = graphOf(
    `${encoder('sequence')}, after: next, before: previous`.replace(
      'return',
      `next = shift(x) {axis: 1, offset: 2}
    previous = shift(x) {axis: 1, offset: -1}
    return`,
    ),
  );
  const bytes = fixLength(await bytesOf(graph), length);
  const feeds = new Map(
    graph.inputs.map(({ name }, i) => [name, randomTensor({ dtype: 'i32', shape: [1, length] }, i + 1)]),
  );
  await compareBytes(bytes, feeds, graph);
});

test('ranks above four take the versions that know them', async () => {
  const model = await modelOf(`graph g (x: f32[1, 2, 3, 4, 5])
    a = transpose(x) {permutation: [0, 1, 2, 4, 3]}
    b = slice(a) {axis: 4, start: 1, end: 3}
    y = pad(b) {before: [0, 0, 0, 0, 1], after: [0, 0, 0, 0, 0]}
    return out: y`);
  expect(listing(model)).toMatchInlineSnapshot(`
    "a = TRANSPOSE 4(x, permutation_0_1_2_4_3)
    b = SLICE 5(a, begin_0_0_0_0_1, size_1_2_3_5_2)
    out = PAD 4(b, paddings_0_0_0_0_0_0_0_0_1_0)"
  `);
});

test('operator codes stand in both fields, and above 127 the old one is the placeholder', async () => {
  const model = await modelOf('graph g (x: f32[2]) a = gelu(x) y = tanh(a) return out: y');
  expect(model.operatorCodes).toMatchObject([
    { deprecatedBuiltinCode: 127, builtinCode: 'GELU', version: 1 },
    { deprecatedBuiltinCode: 28, builtinCode: 'TANH', version: 1 },
  ]);
});

test('f16 stores large weights as f16 and the small ones as they were', async () => {
  const model = await modelOf(
    `graph g (x: f32[1, 32])
    a = linear(x, w f32[64, 32] #1, b f32[64] #2)
    y = add(a, s f32[] {3})
    return out: y`,
    { dtype: 'f16' },
  );
  expect(listing(model)).toMatchInlineSnapshot(`
    "w = DEQUANTIZE 3(w_f16)
    a = FULLY_CONNECTED 1(x, w, b)
    out = ADD 1(a, s)"
  `);
  const stored = model.subgraphs?.[0]?.tensors?.map(({ name, type, buffer }) => {
    return `${name} ${type} ${model.buffers?.[buffer]?.data?.byteLength ?? 0}`;
  });
  expect(stored).toMatchInlineSnapshot(`
    [
      "x FLOAT32 0",
      "w_f16 FLOAT16 4096",
      "w FLOAT32 0",
      "b FLOAT32 256",
      "a FLOAT32 0",
      "s FLOAT32 4",
      "out FLOAT32 0",
    ]
  `);
});

test('weights of an f16 checkpoint come out as f32 unless f16 is asked for', async () => {
  const text = 'graph g (x: f32[1, 32]) y = linear(x, w f16[64, 32] #1, b f16[64] #2) return out: y';
  const types = async (dtype: 'f32' | 'f16') =>
    (await modelOf(text, { dtype })).subgraphs?.[0]?.tensors?.map(({ name, type }) => `${name} ${type}`);
  expect(await types('f32')).toEqual(['x FLOAT32', 'w FLOAT32', 'b FLOAT32', 'out FLOAT32']);
  expect(await types('f16')).toEqual(['x FLOAT32', 'w_f16 FLOAT16', 'w FLOAT32', 'b FLOAT32', 'out FLOAT32']);
  await compare(graphOf(text));
  await compare(graphOf(text), { dtype: 'f16' });
});

test('outputs that are inputs, constants or one value twice get tensors of their own', async () => {
  const graph = graphOf(`graph g (x: f32[2, 3])
    y = relu(x)
    return same: x, fixed: c f32[2] {1, 2}, a: y, b: y`);
  const model = decodeFlatbuffer(modelRoot, await bytesOf(graph), 'm');
  expect(new Set(model.subgraphs?.[0]?.outputs).size).toBe(4);
  expect(model.signatureDefs?.[0]?.outputs?.map(({ name }) => name)).toEqual(['same', 'fixed', 'a', 'b']);
  await compare(graph);
});

test('every tensor has a name of its own, outputs theirs', async () => {
  const model = await modelOf(`graph g (x: f32[2])
    logits = tanh(x)
    y = relu(logits)
    return logits: y`);
  expect(model.subgraphs?.[0]?.tensors?.map(({ name }) => name)).toEqual(['x', 'logits_1', 'logits']);
});

test('the same graph gives the same bytes, on 16-byte lines, equal constants once', async () => {
  const [once, again] = [await bytesOf(graphOf(encoder(12))), await bytesOf(graphOf(encoder(12)))];
  expect(Buffer.compare(once, again)).toBe(0);
  const { buffers = [] } = decodeFlatbuffer(modelRoot, once, 'm');
  const filled = buffers.flatMap(({ data }) => (data === undefined ? [] : [data]));
  expect(filled.length).toBe(buffers.length - 1);
  for (const data of filled) expect(data.byteOffset % 16).toBe(0);
  expect(new Set(filled.map((data) => Buffer.from(data).toString('latin1'))).size).toBe(filled.length);
});

describe('metadata', () => {
  const source = `graph model (token_type_ids: i32[1, 4], input_ids: i32[1, 4], attention_mask: i32[1, 4])
    a = add(input_ids, attention_mask)
    b = add(a, token_type_ids)
    c = cast(b) {to: f32}
    d = linear(c, w f32[3, 4] #1)
    y = softmax(d)
    return probability: y, sum: c`;
  const vocab = new TextEncoder().encode('[PAD]\n[UNK]\n');

  test('names the inputs as MediaPipe and Task Library do, in the order of the tensors', async () => {
    const metadata = {
      vocab,
      labels: ['no', 'maybe', 'yes'],
      description: 'a test',
      properties: { source: 'nowhere', passes: 'none' },
    };
    const bytes = await bytesOf(graphOf(source), { metadata });
    const model = decodeFlatbuffer(modelRoot, bytes, 'm');
    const entry = (name: string) => {
      const index = model.metadata?.find((found) => found.name === name)?.buffer as number;
      return model.buffers?.[index]?.data as Uint8Array;
    };
    const described = decodeFlatbuffer(modelMetadataRoot, entry('TFLITE_METADATA'), 'metadata');
    expect(described).toMatchObject({ name: 'model', description: 'a test', minParserVersion: '1.1.0' });
    expect(described.subgraphMetadata).toMatchObject([
      {
        inputTensorMetadata: [{ name: 'segment_ids' }, { name: 'ids' }, { name: 'mask' }],
        outputTensorMetadata: [
          { name: 'probability', associatedFiles: [{ name: 'labels.txt', type: 'TENSOR_AXIS_LABELS' }] },
          { name: 'sum' },
        ],
        inputProcessUnits: [
          {
            options: {
              kind: 'BertTokenizerOptions',
              value: { vocabFile: [{ name: 'vocab.txt', type: 'VOCABULARY' }] },
            },
          },
        ],
      },
    ]);
    expect(JSON.parse(new TextDecoder().decode(entry('mbert')))).toEqual(metadata.properties);
    expect(new TextDecoder().decode(entry('min_runtime_version'))).toBe(
      `2.0.0${'\0'.repeat(11)}`.replace('2.0.0', '1.5.0'),
    );
    expect(model.signatureDefs?.[0]).toMatchObject({
      signatureKey: 'serving_default',
      inputs: [{ name: 'token_type_ids' }, { name: 'input_ids' }, { name: 'attention_mask' }],
      outputs: [{ name: 'probability' }, { name: 'sum' }],
    });
    const text = Buffer.from(bytes).toString('latin1');
    expect(text).toContain('vocab.txt[PAD]\n[UNK]\n');
    expect(text).toContain('labels.txtno\nmaybe\nyes');
  });

  test('is there without vocabulary and labels, with no file at the end', async () => {
    const bytes = await bytesOf(graphOf(source));
    const model = decodeFlatbuffer(modelRoot, bytes, 'm');
    expect(model.metadata?.map(({ name }) => name)).toEqual(['min_runtime_version', 'TFLITE_METADATA']);
    const last = model.buffers?.at(-1)?.data as Uint8Array;
    expect(last.byteOffset + last.byteLength).toBe(bytes.byteOffset + bytes.byteLength);
  });

  test.each([
    [['no', 'yes'], 'labels: there are 2, but probability has 3, sum has 4'],
    [['no', 'may\nbe', 'yes'], 'labels: "may\\nbe" has a line break, which ends a label in labels.txt'],
  ])('refuses the labels %j', async (labels, problem) => {
    await expect(bytesOf(graphOf(source), { metadata: { labels } })).rejects.toMatchObject({
      code: 'MISMATCH',
      message: problem,
    });
  });
});

describe('refuses', () => {
  test.each([
    ['i64 inputs', 'graph g (ids: i64[2]) y = cast(ids) {to: f32} return o: y', 'ids: tflite takes i32 ids, not i64'],
    [
      'two sizes that only the run knows',
      'graph g (x: f32[batch, sequence, 8]) y = reshape(x) {shape: [batch, sequence, 2, 4]} return o: y',
      'y: tflite can leave one size to the run, not two: [batch, sequence, 2, 4]',
    ],
    [
      'a computed value cut to the run',
      'graph g (ids: i32[1, sequence], x: f32[9, 2]) y = slice(x) {axis: 0, end: sequence} return o: y',
      'y: tflite cannot cut input [9, 2] to sequence',
    ],
    [
      'a computed filter',
      'graph g (x: f32[1, 4, 2], w: f32[3, 3, 2]) y = conv1d(x, w) return o: y',
      'y: tflite convolves with constants, w is none',
    ],
    [
      'other casts',
      'graph g (x: f32[2]) y = cast(x) {to: i64} return o: y',
      'y: tflite export of a cast from f32 to i64',
    ],
  ])('%s', async (_, text, message) => {
    await expect(bytesOf(graphOf(text))).rejects.toMatchObject({ code: 'UNSUPPORTED', message });
  });

  test.each([
    ['sequence', 'give --batch and --sequence-length numbers'],
    [4, 'export the model with fixed sizes: this one is of no input'],
  ])('a size of no input, and suggests flags only where they would fix one: %s', async (length, hint) => {
    const text = `graph g (ids: i32[1, ${length}]) y = range() {end: n, to: i32} return o: y`;
    const message = 'y: tflite cannot count up to n, which is no size of an input';
    await expect(bytesOf(graphOf(text))).rejects.toMatchObject({ message, hint });
  });

  test('weights that f16 cannot hold, by name and value', async () => {
    const graph = graphOf(`graph g (x: f32[1, 32]) y = linear(x, w f32[32, 32] #1) return o: y`);
    const [weight] = graph.nodes().filter(({ op }) => op === 'constant');
    const values = new Float32Array(32 * 32);
    values[5] = 7e4;
    if (weight) graph.replace(weight, () => graph.constant(tensorOf('f32', [32, 32], values), 'big'));
    await expect(bytesOf(graph, { dtype: 'f16' })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: 'big: holds 70000, and f16 ends at 65504',
    });
    await compare(graph);
  });

  test('operators that the oldest runtime does not know', async () => {
    const text = 'graph g (x: f32[2]) y = gelu(x) return o: y';
    await expect(bytesOf(graphOf(text), { minRuntime: '2.8' })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: 'y: GELU version 1 needs a runtime of 2.9.0 or newer',
      hint: 'raise --min-runtime from 2.8',
    });
    expect(listing(await modelOf(text, { minRuntime: '2.9' }))).toBe('o = GELU 1(x)');
    await expect(bytesOf(graphOf(text), { minRuntime: 'new' })).rejects.toMatchObject({ code: 'USAGE' });
  });
});
