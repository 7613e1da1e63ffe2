import { readFileSync } from 'node:fs';
import onnxProto from 'onnx-proto';
import { describe, expect, test } from 'vitest';
import { MbertError } from '../../../src/errors.ts';
import { importBytes, type ModelProto, nodeProto, tensorProto } from './model.ts';

const { onnx } = onnxProto;
const GOOD = readFileSync('fixtures/mini-onnx-qa/model.onnx');
const POSITIONS = 'm.mobilebert.embeddings.position_embeddings.weight';
const MATMUL = '/m/mobilebert/embeddings/embedding_transformation/MatMul';

type Graph = onnxProto.onnx.IGraphProto;
type Tensor = onnxProto.onnx.ITensorProto;

function node(graph: Graph, name: string): onnxProto.onnx.INodeProto {
  return graph.node?.find((each) => each.name === name) ?? expect.fail(`no node ${name}`);
}

function positions(graph: Graph): Tensor {
  return graph.initializer?.find(({ name }) => name === POSITIONS) ?? expect.fail('no positions');
}

/** The good model with something changed. */
function damaged(change: (graph: Graph, model: ModelProto) => void): Uint8Array {
  const model = onnx.ModelProto.decode(GOOD);
  change(model.graph as Graph, model);
  return onnx.ModelProto.encode(model).finish();
}

function refusal(bytes: Uint8Array): MbertError {
  try {
    importBytes(bytes);
  } catch (cause) {
    if (cause instanceof MbertError) return cause;
    throw cause;
  }
  return expect.fail('nothing was refused');
}

function external(tensor: Tensor, entries: { readonly [key: string]: string }): void {
  delete tensor.rawData;
  tensor.dataLocation = 1;
  tensor.externalData = Object.entries(entries).map(([key, value]) => ({ key, value }));
}

const ROWS: readonly (readonly [
  name: string,
  change: (graph: Graph, model: ModelProto) => void,
  code: string,
  message: string,
])[] = [
  [
    'a cycle',
    (graph) => {
      const first = node(graph, MATMUL);
      first.input = [node(graph, '/m/qa_outputs/Add').output?.[0] as string, first.input?.[1] as string];
    },
    'MALFORMED',
    '/embedding_transformation/Add: reads /m/mobilebert/embeddings/embedding_transformation/MatMul_output_0, which is computed of it: a cycle',
  ],
  [
    'an input that nothing makes',
    (graph) => {
      const first = node(graph, MATMUL);
      first.input = ['no_such_tensor', first.input?.[1] as string];
    },
    'MALFORMED',
    `${MATMUL}: its input no_such_tensor is not produced by anything`,
  ],
  [
    'an output that nothing makes',
    (graph) => graph.output?.push({ name: 'none' }),
    'MALFORMED',
    'output none: is not produced by anything',
  ],
  ['no outputs', (graph) => graph.output?.splice(0), 'MALFORMED', 'graph: has no outputs'],
  [
    'one output twice',
    (graph) => graph.output?.push(...(graph.output ?? []).slice(0, 1)),
    'MALFORMED',
    'output start_logits: is listed twice',
  ],
  [
    'one name for two values',
    (graph) => {
      node(graph, '/m/qa_outputs/Add').output = node(graph, MATMUL).output as string[];
    },
    'MALFORMED',
    `/m/qa_outputs/Add: output ${MATMUL}_output_0 exists already`,
  ],
  [
    'opset 999',
    (_, model) => model.opsetImport?.splice(0, 1, { domain: '', version: 999 }),
    'UNSUPPORTED',
    'opset 999 is not supported',
  ],
  [
    'opset 10',
    (_, model) => model.opsetImport?.splice(0, 1, { domain: '', version: 10 }),
    'UNSUPPORTED',
    'opset 10 is not supported',
  ],
  [
    'no opset',
    (_, model) => model.opsetImport?.splice(0),
    'MALFORMED',
    "opset_import: does not name ONNX's own operator set",
  ],
  [
    'no graph',
    (_, model) => {
      delete model.graph;
    },
    'MALFORMED',
    'is no ONNX model: it has no graph',
  ],
  [
    'a tensor that is larger than any file',
    (graph) => {
      positions(graph).dims = [2 ** 40, 2 ** 20];
    },
    'MALFORMED',
    `${POSITIONS}: [1099511627776, 1048576] is larger than any file`,
  ],
  [
    'a negative size',
    (graph) => {
      positions(graph).dims = [-5, 40];
    },
    'MALFORMED',
    `${POSITIONS}: has a negative size, [-5, 40]`,
  ],
  [
    'too many axes',
    (graph) => {
      positions(graph).dims = new Array<number>(40).fill(1);
    },
    'MALFORMED',
    `${POSITIONS}: has 40 axes`,
  ],
  [
    'raw data that is too short',
    (graph) => {
      const tensor = positions(graph);
      tensor.rawData = (tensor.rawData as Uint8Array).slice(4);
    },
    'MALFORMED',
    `${POSITIONS}: f32[32, 40] takes 5120 bytes, raw_data has 5116`,
  ],
  [
    'no data at all',
    (graph) => {
      delete positions(graph).rawData;
    },
    'MALFORMED',
    `${POSITIONS}: f32[32, 40] takes 1280 values, the file has 0`,
  ],
  [
    'a type that mbert does not have',
    (graph) => {
      positions(graph).dataType = 17;
    },
    'UNSUPPORTED',
    `${POSITIONS}: tensors of type 17 are not supported`,
  ],
  [
    'a path out of the folder',
    (graph) => external(positions(graph), { location: '../../etc/passwd' }),
    'MALFORMED',
    `${POSITIONS}: its data is in "../../etc/passwd", which is outside the model's folder`,
  ],
  [
    'external data that is not there',
    (graph) => external(positions(graph), { location: 'weights.bin' }),
    'NOT_FOUND',
    `${POSITIONS}: its data is in "weights.bin", which does not exist`,
  ],
  [
    'external data without a place',
    (graph) => external(positions(graph), {}),
    'MALFORMED',
    'external data without a location',
  ],
  [
    'two tensors of one name',
    (graph) => graph.initializer?.push(positions(graph)),
    'MALFORMED',
    `${POSITIONS}: there are two of this name`,
  ],
  [
    'an input that is no tensor',
    (graph) =>
      graph.input?.push({ name: 'words', type: { sequenceType: { elemType: { tensorType: { elemType: 1 } } } } }),
    'UNSUPPORTED',
    'input words: is no tensor of a type that mbert has',
  ],
  [
    'an input of a negative size',
    (graph) =>
      graph.input?.push({ name: 'more', type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: -3 }] } } } }),
    'MALFORMED',
    'more: has a negative size, [-3]',
  ],
  [
    'sparse weights',
    (graph) =>
      graph.sparseInitializer?.push({
        values: tensorProto('s', { dtype: 'f32', shape: [0], bytes: () => new Uint8Array(0) }),
      }),
    'MALFORMED',
    'sparse initializers are not supported',
  ],
];

describe('refuses', () => {
  test.each(ROWS)('%s', (_, change, code, message) => {
    const refused = refusal(damaged(change));
    expect(refused.code).toBe(code);
    expect(refused.message).toContain(message);
    expect(refused.message).toMatch(/^model\.onnx: /);
  });

  test('an empty file', () => {
    expect(refusal(new Uint8Array(0)).message).toBe('model.onnx: is empty');
  });

  test('bytes that are no protobuf', () => {
    expect(refusal(new Uint8Array(64).fill(0x0f)).code).toBe('MALFORMED');
  });

  test.each(Array.from({ length: 15 }, (_, i) => i + 1))('a file cut after %i sixteenths', (sixteenths) => {
    expect(refusal(GOOD.subarray(0, (GOOD.byteLength * sixteenths) / 16)).code).toBe('MALFORMED');
  });

  test('functions that call themselves', () => {
    const call = nodeProto({ op: 'test::Loop', inputs: ['input_ids'], outputs: ['again'] });
    const bytes = damaged((graph, model) => {
      model.opsetImport?.push({ domain: 'test', version: 1 });
      model.functions = [
        {
          name: 'Loop',
          domain: 'test',
          input: ['x'],
          output: ['y'],
          node: [nodeProto({ op: 'test::Loop', inputs: ['x'], outputs: ['y'] })],
          opsetImport: [{ domain: 'test', version: 1 }],
        },
      ];
      graph.node?.unshift(call);
    });
    expect(refusal(bytes).message).toContain('calls functions deeper than 32 levels');
  });

  test('attributes nested without end', () => {
    // AttributeProto.t is field 5, TensorProto has none of that number as a message: nodes in graphs in attributes are skipped.
    let bytes = Uint8Array.of();
    for (let depth = 0; depth < 200; depth++) bytes = Uint8Array.from([0x3a, ...varint(bytes.byteLength), ...bytes]);
    expect(refusal(bytes).code).toBe('MALFORMED');
  });
});

test('the good twin is read', () => {
  expect(importBytes(GOOD).outputs.map(({ name }) => name)).toEqual(['start_logits', 'end_logits']);
});

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}
