import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { tflite as exporter, type TfliteOptions } from '../../../src/exporters/tflite.ts';
import { builtinOperatorValues, type Model } from '../../../src/formats/tflite/generated/model.ts';
import type { Draft } from '../../../src/formats/tflite/table.ts';
import { evaluate } from '../../../src/ir/evaluate.ts';
import { Graph, type Node } from '../../../src/ir/graph.ts';
import { runPasses } from '../../../src/ir/pass.ts';
import { integerTensor, type Quant, readF32, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import { graphText, typeText } from '../../../src/ir/text.ts';
import { buildModel } from '../../../src/models/index.ts';
import { selectPasses } from '../../../src/passes/index.ts';
import { raise } from '../../../src/passes/raise/raise.ts';
import { graphOf } from '../../core.ts';
import { bytesOf } from '../../exporters/tflite-lab.ts';
import { openCheckpoint } from '../../models/corpus.ts';
import { TRIGRAM } from '../../passes/sample-graphs.ts';
import { decodeModel, encodeModel, FIXTURE, importBytes } from './models.ts';

const fixtureBytes = () => new Uint8Array(readFileSync(FIXTURE));
const original = async () => graphText((await importBytes(fixtureBytes())).graph);

test('names and order are those of the signature, and its tensors without one', async () => {
  const model = decodeModel();
  const { graph } = await importBytes(fixtureBytes());
  expect(graph.inputs.map(({ name, type }) => `${name}: ${typeText(type)}`)).toEqual([
    'attention_mask: i32[1, 16]',
    'input_ids: i32[1, 16]',
    'token_type_ids: i32[1, 16]',
  ]);
  expect(graph.outputs.map(({ name }) => name)).toEqual(['end_logits', 'start_logits']);
  const { graph: unsigned } = await importBytes(encodeModel({ ...model, signatureDefs: [] } as Draft<Model>));
  expect(unsigned.inputs[0]?.name).toBe('serving_default_attention_mask:0');
  expect(unsigned.outputs[0]?.name).toBe('StatefulPartitionedCall:0');
});

test('of several signatures the first is read, and the others are told', async () => {
  const model = decodeModel();
  const [first] = model.signatureDefs ?? [];
  const more = [
    { ...first, signatureKey: 'train' },
    { ...first, signatureKey: 'save' },
  ];
  const both = { ...model, signatureDefs: [first, ...more] } as Draft<Model>;
  const { graph, notes } = await importBytes(encodeModel(both));
  expect(graphText(graph)).toBe(await original());
  expect(notes).toEqual([expect.stringMatching(/: signatures: serving_default is read, train and save not$/)]);
  expect((await importBytes(fixtureBytes())).notes).toEqual([]);
});

test('operator codes of before 2020 have the old field only', async () => {
  const model = decodeModel();
  const codes = model.operatorCodes?.map((code) => ({ ...code, builtinCode: 'ADD' as const }));
  expect(
    codes?.every(
      ({ deprecatedBuiltinCode }) => deprecatedBuiltinCode < builtinOperatorValues.PLACEHOLDER_FOR_GREATER_OP_CODES,
    ),
  ).toBe(true);
  const { graph } = await importBytes(encodeModel({ ...model, operatorCodes: codes } as Draft<Model>));
  expect(graphText(graph)).toBe(await original());
});

test('buffers may lie behind the FlatBuffer', async () => {
  const model = decodeModel();
  const datas = (model.buffers ?? []).map(({ data }) => data ?? new Uint8Array(0));
  // The offsets do not change the size of the FlatBuffer.
  const write = (start: number) => {
    let at = start;
    const buffers = datas.map((data) => {
      if (data.byteLength === 0) return {};
      const offset = at;
      at += data.byteLength;
      return { offset, size: data.byteLength };
    });
    return encodeModel({ ...model, buffers } as Draft<Model>);
  };
  const head = write(write(2).byteLength);
  const { graph } = await importBytes(new Uint8Array(Buffer.concat([head, ...datas])));
  expect(graphText(graph)).toBe(await original());
  await expect(
    importBytes(new Uint8Array(Buffer.concat([head, ...datas]).subarray(0, head.byteLength + 100))),
  ).rejects.toMatchObject({
    code: 'MALFORMED',
  });
});

async function reimported(graph: Graph, options: Partial<TfliteOptions> = {}): Promise<Graph> {
  return (await importBytes(await bytesOf(graph, options))).graph;
}

function countsOf(graph: Graph): { readonly [op: string]: number } {
  const counts: Record<string, number> = {};
  for (const { op } of graph.nodes()) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

/** Fits every input: ids, a mask and types. */
const ONES_AND_ZEROS = [1, 1, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0];

const OPS = ['linear', 'add', 'mul', 'matmul', 'softmax', 'gather', 'shift', 'layerNorm', 'gelu', 'relu', 'foreign'];

test.each(['mini-qa', 'hf-qa-layernorm-gelu', 'bert-seqcls', 'distilbert-seqcls'])(
  'what mbert has written of %s comes back',
  async (name) => {
    const checkpoint = await openCheckpoint(name);
    const { graph } = buildModel(checkpoint, { batch: 1, sequenceLength: 12, indexType: 'i32' });
    await runPasses(graph, selectPasses('-trigram-to-convolution', 'tflite'));
    const back = await reimported(graph);
    await raise(back);
    await runPasses(back, selectPasses('-trigram-to-convolution', 'tflite'));
    const [found, wanted] = [countsOf(back), countsOf(graph)];
    for (const op of OPS) expect([op, found[op]]).toEqual([op, wanted[op]]);
    const feeds = new Map(
      graph.inputs.map(({ name: input }) => [input, integerTensor('i32', ONES_AND_ZEROS, [1, 12])]),
    );
    const [before, after] = [evaluate(graph, feeds), evaluate(back, feeds)];
    for (const [output, tensor] of before) expectClose(after.get(output) as Tensor, tensor);
    checkpoint.close();
  },
);

function expectClose(found: Tensor, wanted: Tensor): void {
  const values = readF32(found);
  const worst = Math.max(...readF32(wanted).map((value, i) => Math.abs(value - (values[i] as number))));
  expect(worst).toBeLessThan(1e-5);
}

test('a convolution along the sequence comes back', async () => {
  const graph = graphOf(TRIGRAM);
  await runPasses(graph, selectPasses(undefined, 'tflite'));
  const back = await reimported(graph);
  await raise(back);
  expect(countsOf(back)['conv1d']).toBe(1);
});

const scales = Float32Array.of(0.5, 0.25);
/** Weights [2, 4] as each scheme stores them. */
const stored: readonly (readonly [what: string, tensor: Tensor, quant: Quant, text: string])[] = [
  [
    'i8 by channel',
    tensorOf('i8', [2, 4], Int8Array.of(1, -2, 3, -4, 5, -6, 7, -127)),
    { per: 'channel', axis: 0, scales },
    'i8[2, 4] q(axis 0, #',
  ],
  [
    'i8 as a whole',
    tensorOf('i8', [2, 4], Int8Array.of(1, -2, 3, -4, 5, -6, 7, -127)),
    { per: 'tensor', scale: 0.5, zeroPoint: 0 },
    'i8[2, 4] q(0.5, 0)',
  ],
  [
    'i4 by channel',
    tensorOf('i4', [2, 4], Uint8Array.of(0x21, 0xf3, 0x98, 0x70)),
    { per: 'channel', axis: 0, scales },
    'i4[2, 4] q(axis 0, #',
  ],
];

test.each(stored)('weights stay stored as %s', async (_, tensor, quant, text) => {
  const graph = new Graph('g');
  const x = graph.input('x', { dtype: 'f32', shape: [1, 4] });
  const weight = graph.constant(tensor, 'w', quant);
  graph.output('y', graph.add('linear', [x, weight], {}, 'y'));
  const back = await reimported(graph);
  const [found] = back
    .nodes()
    .filter((node): node is Node & { op: 'constant' } => node.op === 'constant' && node.type.quant !== undefined);
  expect(typeText((found as Node).type).startsWith(text)).toBe(true);
  expect(found?.tensor.bytes()).toEqual(tensor.bytes());
  const feeds = new Map([['x', tensorOf('f32', [1, 4], Float32Array.of(1, 2, 3, 4))]]);
  expectClose(evaluate(back, feeds).get('y') as Tensor, evaluate(graph, feeds).get('y') as Tensor);
});

test('f16 weights stay f16, without the operators that widen them', async () => {
  const { graph } = await importBytes(new Uint8Array(readFileSync('fixtures/tflite-qa-float16/model.tflite')));
  const weights = graph.nodes().flatMap((node) => (node.op === 'linear' ? [node.inputs[1]?.type.dtype] : []));
  expect(new Set(weights)).toEqual(new Set(['f16']));
  expect([countsOf(graph)['dequantize'], countsOf(graph)['cast']]).toEqual([undefined, 1]);
});

test('the vocabulary and the labels come out of the ZIP behind the FlatBuffer', async () => {
  const vocab = new TextEncoder().encode('[PAD]\n[UNK]\nyes\n');
  const graph = graphOf(`graph g (input_ids: i32[1, 4], attention_mask: i32[1, 4], token_type_ids: i32[1, 4])
    e = gather(t f32[9, 2] #1, input_ids)
    m = cast(attention_mask)
    s = cast(token_type_ids)
    a = add(m, s)
    n = mean(e) {axis: 1, keepDims: false}
    z = mean(a) {axis: 1, keepDims: true}
    logits = add(n, z)
  return logits: logits`);
  const properties = { 'mbert.lower_case': 'false' };
  const bytes = await bytesOf(graph, { metadata: { vocab, labels: ['no', 'yes'], properties } });
  const source = await importBytes(bytes);
  expect(source.tokenizer).toMatchObject({ vocabulary: { bytes: vocab }, lowerCase: false });
  expect(source.labels).toEqual(['no', 'yes']);
  // Cut behind the FlatBuffer the files are gone, which the metadata still names.
  await expect(importBytes(bytes.subarray(0, -10))).rejects.toMatchObject({ code: 'MALFORMED' });
  expect(exporter.name).toBe('tflite');
});
