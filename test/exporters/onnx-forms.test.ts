import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import onnxProto from 'onnx-proto';
import { afterAll, describe, expect, test } from 'vitest';
import { onnxModel } from '../../src/exporters/onnx/model.ts';
import { onnx } from '../../src/exporters/onnx.ts';
import { writeFiles } from '../../src/io/files.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import { Graph } from '../../src/ir/graph.ts';
import { readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { onnxruntime } from '../../src/runtimes/onnxruntime.ts';
import { graphOf, randomTensor } from '../core.ts';
import { expectAgreement, feedsOf, onnxBytes, onnxText, runOnnx } from './onnx-lab.ts';

const folder = mkdtempSync(join(tmpdir(), 'mbert-onnx-'));
afterAll(() => rmSync(folder, { recursive: true }));

const attention = `graph g (x: f32[batch, sequence, 8])
  t = reshape(x) {shape: [batch*sequence, 8]}
  qkv = linear(t, w f32[24, 8] #1)
  q = slice(qkv) {axis: 1, start: 0, end: 8}
  k = slice(qkv) {axis: 1, start: 8, end: 16}
  v = slice(qkv) {axis: -1, start: 16, end: 24}
  qh = reshape(q) {shape: [batch, sequence, 2, 4]}
  kh = reshape(k) {shape: [batch, sequence, 2, 4]}
  vh = reshape(v) {shape: [batch, sequence, 2, 4]}
  qt = transpose(qh) {permutation: [0, 2, 1, 3]}
  kt = transpose(kh) {permutation: [0, 2, 1, 3]}
  vt = transpose(vh) {permutation: [0, 2, 1, 3]}
  scores = matmul(qt, kt) {transposeB: true}
  p = softmax(scores)
  c = matmul(p, vt)
  ct = transpose(c) {permutation: [0, 2, 1, 3]}
  cf = reshape(ct) {shape: [batch*sequence, 8]}
  o = linear(cf, wo f32[8, 8] #2)
  sum = add(o, t)
  up = linear(sum, wu f32[16, 8] #3, bu f32[16] #4) {activation: relu}
  down = linear(up, wd f32[8, 16] #5)
  sum2 = add(sum, down)
  y = reshape(sum2) {shape: [batch, sequence, 8]}
return hidden: y`;

describe('a block', () => {
  test('is one Split, one Transpose a head tensor, one Gemm a linear, with the residual as its C', async () => {
    const graph = graphOf(attention);
    expect(onnxText(graph)).toMatchInlineSnapshot(`
      "(x: f32[batch, sequence, 8]) -> (hidden: f32[batch, sequence, 8])
        t = Reshape(x, i64_-1_8)
        qkv = Gemm(t, w) {transB: 1}
        q, k, v = Split(qkv, i64_8_8_8) {axis: 1}
        x/shape = Shape(x)
        size_of_batch = Gather(x/shape, i64_0)
        shape_batch_-1_2_4 = Concat(size_of_batch, i64_-1, i64_2, i64_4) {axis: 0}
        qh = Reshape(q, shape_batch_-1_2_4)
        qt = Transpose(qh) {perm: 0,2,1,3}
        kh = Reshape(k, shape_batch_-1_2_4)
        scores/transposed = Transpose(kh) {perm: 0,2,3,1}
        scores = MatMul(qt, scores/transposed)
        p = Softmax(scores) {axis: -1}
        vh = Reshape(v, shape_batch_-1_2_4)
        vt = Transpose(vh) {perm: 0,2,1,3}
        c = MatMul(p, vt)
        ct = Transpose(c) {perm: 0,2,1,3}
        cf = Reshape(ct, i64_-1_8)
        sum = Gemm(cf, wo, t) {transB: 1}
        up/linear = Gemm(sum, wu, bu) {transB: 1}
        up = Relu(up/linear)
        sum2 = Gemm(up, wd, sum) {transB: 1}
        shape_batch_-1_8 = Concat(size_of_batch, i64_-1, i64_8) {axis: 0}
        hidden = Reshape(sum2, shape_batch_-1_8)
      constants
        i64_-1_8 i64[2]
        w f32[24, 8]
        i64_8_8_8 i64[3]
        i64_0 i64[1]
        i64_-1 i64[1]
        i64_2 i64[1]
        i64_4 i64[1]
        wo f32[8, 8]
        bu f32[16]
        wu f32[16, 8]
        wd f32[8, 16]
        i64_8 i64[1]"
    `);
    await expectAgreement(graph, { batch: 2, sequence: 7 });
  });

  test('of fixed size needs no shape at run time', () => {
    const fixed = onnxText(graphOf(attention.replaceAll('batch*sequence', '7').replaceAll('batch, sequence', '1, 7')));
    expect(fixed.split('\n').filter((line) => /Shape|Concat|Gather/.test(line) && !line.includes('Reshape'))).toEqual(
      [],
    );
    expect(fixed).toContain('Reshape(sum2, i64_1_7_8)');
  });

  test('with one unknown size leaves it to -1', () => {
    const dynamic = onnxText(
      graphOf(attention.replaceAll('batch*sequence', 'sequence').replaceAll('batch, sequence', '1, sequence')),
    );
    expect(dynamic).not.toContain('= Shape(');
    expect(dynamic).toContain('Reshape(sum2, i64_1_-1_8)');
  });
});

describe('a residual', () => {
  const lines = (text: string) =>
    onnxText(graphOf(text))
      .split('\n')
      .slice(1)
      .filter((line) => line.includes('='));

  test.each([
    ['the linear has a bias', 'l = linear(x, w f32[4, 4] #1, b f32[4] #2) y = add(l, x) return out: y'],
    ['the linear has an activation', 'l = linear(x, w f32[4, 4] #1) {activation: relu} y = add(l, x) return out: y'],
    ['the linear is read elsewhere', 'l = linear(x, w f32[4, 4] #1) y = add(l, x) z = relu(l) return out: y, more: z'],
    ['the linear is an output', 'l = linear(x, w f32[4, 4] #1) y = add(l, x) return out: y, more: l'],
    ['the linear is added to itself', 'l = linear(x, w f32[4, 4] #1) y = add(l, l) return out: y'],
    ['the other side is broadcast', 'l = linear(x, w f32[4, 4] #1) y = add(l, c f32[4] #2) return out: y'],
  ])('stays an Add where %s', async (_, text) => {
    const graph = `graph g (x: f32[batch, 4]) ${text}`;
    expect(lines(graph).filter((line) => line.includes('= Add('))).toHaveLength(1);
    await expectAgreement(graphOf(graph), { batch: 3 });
  });

  test('stays an Add at rank 3, where there is no Gemm', async () => {
    const graph = 'graph g (x: f32[batch, 2, 4]) l = linear(x, w f32[4, 4] #1) y = add(l, x) return out: y';
    expect(lines(graph)).toEqual(['  l = MatMul(x, w)', '  out = Add(l, x)']);
    await expectAgreement(graphOf(graph), { batch: 3 });
  });

  test('may be a linear itself: one of both becomes the C of the other', async () => {
    const graph =
      'graph g (x: f32[batch, 4]) l = linear(x, w f32[4, 4] #1) r = linear(x, v f32[4, 4] #2) y = add(l, r) return out: y';
    expect(lines(graph)).toEqual(['  r = Gemm(x, v) {transB: 1}', '  out = Gemm(x, w, r) {transB: 1}']);
    await expectAgreement(graphOf(graph), { batch: 3 });
  });
});

describe('slices', () => {
  test.each([
    ['leave a gap', 'a = slice(x) {axis: 1, start: 0, end: 3} b = slice(x) {axis: 1, start: 4, end: 6}'],
    ['overlap', 'a = slice(x) {axis: 1, start: 0, end: 4} b = slice(x) {axis: 1, start: 3, end: 6}'],
    ['miss the end', 'a = slice(x) {axis: 1, start: 0, end: 3} b = slice(x) {axis: 1, start: 3, end: 5}'],
    ['lie on two axes', 'a = slice(x) {axis: 0, start: 0, end: 1} b = slice(x) {axis: 1, start: 1, end: 6}'],
  ])('that %s stay slices', async (_, slices) => {
    const graph = graphOf(`graph g (x: f32[2, 6]) ${slices} return a: a, b: b`);
    expect(onnxText(graph)).not.toContain('Split');
    await expectAgreement(graph, {});
  });
});

describe('names', () => {
  test('of inputs and outputs are the graph’s, whatever nodes are called', async () => {
    const graph = graphOf(`graph g (x: f32[2], c: f32[2])
      out = relu(x)
      other = mul(out, k f32[2] #1)
    return first: other, again: other, c: c, out: x, k: out, table: k f32[2] #1`);
    expect(onnxText(graph)).toMatchInlineSnapshot(`
      "(x: f32[2], c: f32[2]) -> (first: f32[2], again: f32[2], c: f32[2], out: f32[2], k: f32[2], table: f32[2])
        k = Relu(x)
        first = Mul(k, k_1)
        again = Identity(first)
        out = Identity(x)
        table = Identity(k_1)
      constants
        k_1 f32[2]"
    `);
    await expectAgreement(graph, {});
  });

  test('of nodes and values are given once, also where the graph has the one that a lowering would take', async () => {
    const graph = graphOf(`graph g (x: f32[2, 4])
      "l+r" = linear(x, "y/linear" f32[4, 4] #1)
      l = slice("l+r") {axis: 1, start: 0, end: 2}
      r = slice("l+r") {axis: 1, start: 2, end: 4}
      "l/split" = mul(l, r)
      y = linear("l/split", w f32[3, 2] #2) {activation: relu}
      i64_1 = slice(y) {axis: 1, start: 1, end: 2}
    return y: y, "i64_2": i64_1`);
    const { nodes, initializers } = onnxModel(graph, onnx.defaults);
    const values = [...nodes.flatMap(({ outputs }) => outputs), ...initializers.map(({ name }) => name), 'x'];
    expect(new Set(values).size).toBe(values.length);
    expect(new Set(nodes.map(({ name }) => name)).size).toBe(nodes.length);
    await expectAgreement(graph, {});
  });

  test('cannot serve an input and another output', () => {
    const graph = graphOf('graph g (x: f32[2]) y = relu(x) return x: y');
    expect(() => onnxText(graph)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
  });
});

describe('weights', () => {
  const tied = `graph g (ids: i64[batch, sequence])
    rows = gather(table f32[40, 32] #1, ids)
    flat = reshape(rows) {shape: [batch*sequence, 32]}
    h = linear(flat, w f32[32, 32] #2, b f32[32] #3)
    y = linear(h, table f32[40, 32] #1)
  return logits: y`;

  test('are written once, however many nodes read them', () => {
    expect(onnxText(graphOf(tied)).match(/table f32/g)).toHaveLength(1);
  });

  test('of f16 files are widened where they are read, a table after its rows are picked; biases stay f32', () => {
    expect(onnxText(graphOf(tied), { dtype: 'f16' })).toMatchInlineSnapshot(`
      "(ids: i64[batch, sequence]) -> (logits: f32[batch*sequence, 40])
        rows/rows = Gather(table, ids) {axis: 0}
        rows = Cast(rows/rows) {to: 1}
        flat = Reshape(rows, i64_-1_32)
        w/f32 = Cast(w) {to: 1}
        h = Gemm(flat, w/f32, b) {transB: 1}
        table/f32 = Cast(table) {to: 1}
        logits = Gemm(h, table/f32) {transB: 1}
      constants
        table f16[40, 32]
        i64_-1_32 i64[2]
        b f32[32]
        w f16[32, 32]"
    `);
  });

  test('of f16 files compute what f16-rounded weights compute', async () => {
    const feeds = feedsOf(graphOf(tied), { batch: 2, sequence: 3 });
    const rounded = graphOf(
      tied.replace('table f32[40, 32] #1, ids', 'table f16[40, 32] #1, ids').replace('w f32', 'w f16'),
    );
    const [actual] = (await runOnnx(graphOf(tied), feeds, { dtype: 'f16' })).values();
    const [wanted] = evaluate(rounded, feeds).values();
    const [a, b] = [readF32(actual as Tensor), readF32(wanted as Tensor)];
    expect(Math.max(...b.map((value, i) => Math.abs(value - (a[i] as number))))).toBeLessThan(1e-4);
    expect((await onnxBytes(graphOf(tied), { dtype: 'f16' })).length).toBeLessThan(
      0.7 * (await onnxBytes(graphOf(tied))).length,
    );
  });

  test('of f16 and bf16 checkpoints are f32 in a f32 file', () => {
    const graph = new Graph('g');
    const x = graph.input('x', { dtype: 'f32', shape: [2, 32] });
    const half = graph.constant(randomTensor({ dtype: 'f16', shape: [32, 32] }, 1), 'half');
    const brain = graph.constant(tensorOf('bf16', [32, 32], new Uint16Array(1024).fill(0x3f80)), 'brain');
    graph.output('y', graph.add('linear', [graph.add('linear', [x, half]), brain]));
    expect(onnxText(graph)).toContain('constants\n  half f32[32, 32]\n  brain f32[32, 32]');
  });

  test.each([
    [65504, true],
    [65519, true],
    [65520, false],
    [-1e9, false],
  ])('of %d fit an f16 file: %s', async (value, fits) => {
    const graph = new Graph('g');
    const x = graph.input('x', { dtype: 'f32', shape: [1, 32] });
    const weight = tensorOf('f32', [32, 32], new Float32Array(1024).fill(value));
    graph.output('y', graph.add('linear', [x, graph.constant(weight, 'dense.weight')]));
    const written = onnxBytes(graph, { dtype: 'f16' });
    if (fits) expect((await written).length).toBeGreaterThan(2048);
    else
      await expect(written).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        message: expect.stringMatching(/^dense\.weight: /),
      });
  });

  test('are turned in the file for a MatMul, or by it where others read them as well', () => {
    const own = graphOf('graph g (x: f32[1, 2, 3]) y = linear(x, w f32[4, 3] #1) return out: y');
    expect(onnxText(own)).toContain('out = MatMul(x, w)\nconstants\n  w f32[3, 4]');
    const shared = graphOf(
      'graph g (x: f32[1, 2, 3]) y = linear(x, w f32[4, 3] #1) return out: y, weight: w f32[4, 3] #1',
    );
    expect(onnxText(shared)).toContain('out = MatMul(x, out/columns)');
  });

  test('are read once', async () => {
    let reads = 0;
    const source = randomTensor({ dtype: 'f32', shape: [32, 32] }, 1);
    const counted: Tensor = {
      ...source,
      bytes() {
        reads++;
        return source.bytes();
      },
    };
    const graph = new Graph('g');
    const weight = graph.constant(counted, 'w');
    graph.output('flat', graph.add('linear', [graph.input('x', { dtype: 'f32', shape: [2, 32] }), weight]));
    graph.output('deep', graph.add('linear', [graph.input('z', { dtype: 'f32', shape: [1, 2, 32] }), weight]));
    for (const dtype of ['f32', 'f16'] as const) await onnxBytes(graph, { dtype });
    expect(reads).toBe(2);
  });
});

describe('the file', () => {
  test('is the same on every run', async () => {
    expect(await onnxBytes(graphOf(attention))).toEqual(await onnxBytes(graphOf(attention)));
  });

  test('carries properties, producer and versions', async () => {
    const bytes = await onnxBytes(graphOf(attention), {
      opset: 21,
      properties: { task: 'qa' },
      producerVersion: '9.9',
    });
    const { irVersion, producerName, producerVersion, opsetImport, metadataProps } =
      onnxProto.onnx.ModelProto.decode(bytes);
    expect([Number(irVersion), producerName, producerVersion, Number(opsetImport[0]?.version)]).toEqual([
      10,
      'mbert',
      '9.9',
      21,
    ]);
    expect(metadataProps).toEqual([{ key: 'task', value: 'qa' }]);
  });

  test('loads with its external data by path', async () => {
    const graph = graphOf(
      attention.replaceAll('16', '512').replaceAll('end: 512', 'end: 16').replaceAll('start: 512', 'start: 16'),
    );
    const files = onnx.write(graph, { ...onnx.defaults, name: 'block.onnx', externalData: true });
    const written = await writeFiles(folder, files);
    expect(written.map(({ path }) => path)).toEqual([join(folder, 'block.onnx'), join(folder, 'block.onnx.data')]);
    expect(statSync(join(folder, 'block.onnx.data')).size).toBeGreaterThan(2 * 4 * 8 * 512);
    const session = await onnxruntime.load(join(folder, 'block.onnx'));
    const feeds = feedsOf(graph, { batch: 1, sequence: 3 });
    const found = readF32((await session.run(feeds)).get('hidden') as Tensor);
    const wanted = readF32(evaluate(graph, feeds).get('hidden') as Tensor);
    await session.close();
    expect(Math.max(...wanted.map((value, i) => Math.abs(value - (found[i] as number))))).toBeLessThan(1e-4);
  });
});

describe('ONNX Runtime fuses', () => {
  async function optimized(text: string, opset: number): Promise<string[]> {
    const path = join(folder, `optimized-${opset}.onnx`);
    const session = await onnxruntime.load(await onnxBytes(graphOf(text), { opset }), { optimizedModelPath: path });
    await session.close();
    return (onnxProto.onnx.ModelProto.decode(readFileSync(path)).graph?.node ?? []).map(
      ({ opType }) => opType as string,
    );
  }

  test.each([
    [13, '', 'Gelu'],
    [17, '', 'Gelu'],
    [20, '', 'Gelu'],
    [13, '{tanh: true}', 'FastGelu'],
    [17, '{tanh: true}', 'FastGelu'],
    [20, '{tanh: true}', 'Gelu'],
  ])('at opset %i gelu %s to %s', async (opset, attributes, fused) => {
    const text = `graph g (x: f32[batch, 4]) h = linear(x, w f32[4, 4] #1, b f32[4] #2) y = gelu(h) ${attributes}
      z = linear(y, v f32[4, 4] #3, b f32[4] #2) return out: z`;
    expect(await optimized(text, opset)).toEqual(['Gemm', fused, 'Gemm']);
  });

  test('the decomposed layerNorm', async () => {
    const text = 'graph g (x: f32[batch, 4]) y = layerNorm(x, g f32[4] #1, b f32[4] #2) return out: y';
    expect(await optimized(text, 13)).toEqual(['LayerNormalization']);
  });

  test('relu into its Gemm, and reads f16 weights as f32 ones', async () => {
    const text =
      'graph g (x: f32[batch, 4]) h = linear(x, w f32[4, 4] #1, b f32[4] #2) {activation: relu} return out: h';
    expect(await optimized(text, 17)).toEqual(['FusedGemm']);
    const graph = graphOf(
      'graph g (x: f32[batch, 32]) h = linear(x, w f32[32, 32] #1) {activation: relu} return out: h',
    );
    const path = join(folder, 'half.onnx');
    await (await onnxruntime.load(await onnxBytes(graph, { dtype: 'f16' }), { optimizedModelPath: path })).close();
    expect(onnxProto.onnx.ModelProto.decode(readFileSync(path)).graph?.node?.map(({ opType }) => opType)).toEqual([
      'FusedGemm',
    ]);
  });
});
