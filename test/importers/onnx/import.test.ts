import { describe, expect, test } from 'vitest';
import { onnxModel } from '../../../src/exporters/onnx/model.ts';
import { onnx } from '../../../src/exporters/onnx.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { integerTensor, tensorOf } from '../../../src/ir/tensor.ts';
import { graphText } from '../../../src/ir/text.ts';
import { verifyGraph } from '../../../src/ir/verify-graph.ts';
import { encodeModel, importBytes, type ModelProto, type ModelSpec, modelProto, nodeProto } from './model.ts';

const X = { dtype: 'f32', shape: ['batch', 4] } as const;

function imported(
  spec: Partial<ModelSpec> & Pick<ModelSpec, 'nodes'>,
  change: (model: ModelProto) => void = () => {},
): Graph {
  const model = modelProto({ opset: 17, inputs: { x: X }, outputs: ['y'], ...spec });
  change(model);
  return importBytes(encodeModel(model));
}

describe('an op that mbert does not know', () => {
  const mystery = imported({
    nodes: [
      {
        op: 'com.example::Mystery',
        inputs: ['x'],
        outputs: ['a', 'y'],
        attributes: {
          axis: { i: 2 },
          mode: { s: 'two words' },
          ratio: { f: 0.5 },
          table: { t: tensorOf('f32', [2], Float32Array.of(1, 2)) },
        },
      },
    ],
  });

  test('is carried along with its attributes, and each of its values', () => {
    expect(graphText(mystery)).toMatchInlineSnapshot(`
      "graph graph (x: f32[batch, 4])
        Mystery_a = foreign(x) {op: com.example::Mystery, axis: 2, mode: "two words", ratio: 0.5, table: "f32[2]"}  f32[?]
        y = pick(Mystery_a) {index: 1}  f32[?]
      return y: y"
    `);
    expect(() => verifyGraph(mystery, 'import')).not.toThrow();
  });

  test('has the type that the file states', () => {
    const graph = imported(
      {
        nodes: [
          { op: 'Mystery', inputs: ['x'], outputs: ['a'] },
          { op: 'Relu', inputs: ['a'], outputs: ['y'] },
        ],
      },
      ({ graph: proto }) => {
        const dim = [{ dimParam: 'batch' }, { dimValue: 2 }];
        if (proto) proto.valueInfo = [{ name: 'a', type: { tensorType: { elemType: 1, shape: { dim } } } }];
      },
    );
    expect(graphText(graph)).toMatchInlineSnapshot(`
      "graph graph (x: f32[batch, 4])
        a = foreign(x) {op: Mystery, outputShape: [batch, 2]}  f32[batch, 2]
        y = relu(a)  f32[batch, 2]
      return y: y"
    `);
  });

  test('makes its readers unknown where the file states no type', () => {
    const graph = imported({
      nodes: [
        { op: 'Mystery', inputs: ['x'], outputs: ['a'] },
        { op: 'Relu', inputs: ['a'], outputs: ['y'] },
      ],
    });
    expect(graphText(graph)).toMatchInlineSnapshot(`
      "graph graph (x: f32[batch, 4])
        a = foreign(x) {op: Mystery}  f32[?]
        y = foreign(a) {op: Relu, problem: "an input of unknown shape"}  f32[?]
      return y: y"
    `);
  });

  test('is refused by exporters', () => {
    expect(() => onnxModel(mystery, onnx.defaults)).toThrow('Mystery_a: onnx has no lowering for com.example::Mystery');
  });

  test('has no name that JavaScript knows better', () => {
    const graph = imported({ nodes: [{ op: 'constructor', inputs: ['x'], outputs: ['y'] }] });
    expect(graph.outputs[0]?.node.op).toBe('foreign');
  });
});

test('what an operator cannot be read as says why', () => {
  const graph = imported({ nodes: [{ op: 'Pow', inputs: ['x', 'x'], outputs: ['y'] }] });
  expect(graphText(graph)).toMatchInlineSnapshot(`
    "graph graph (x: f32[batch, 4])
      y = foreign(x, x) {op: Pow, problem: "a power with a computed exponent"}  f32[?]
    return y: y"
  `);
});

test.each<[what: string, problem: string, spec: Partial<ModelSpec> & Pick<ModelSpec, 'nodes'>]>([
  [
    'dropout that the run switches',
    'dropout that the run switches on',
    {
      inputs: { x: X, on: { dtype: 'bool', shape: [] } },
      constants: { ratio: tensorOf('f32', [], Float32Array.of(0.1)) },
      nodes: [{ op: 'Dropout', inputs: ['x', 'ratio', 'on'], outputs: ['y'] }],
    },
  ],
  [
    'a slice that steps through an open size',
    'a slice that steps through a size or between places that only the run knows',
    {
      constants: { zero: integerTensor('i64', [0]), end: integerTensor('i64', [9]), two: integerTensor('i64', [2]) },
      nodes: [{ op: 'Slice', inputs: ['x', 'zero', 'end', 'zero', 'two'], outputs: ['y'] }],
    },
  ],
  [
    'a slice that steps and takes nothing',
    'a slice of nothing',
    {
      constants: { from: integerTensor('i64', [3]), one: integerTensor('i64', [1]), two: integerTensor('i64', [2]) },
      nodes: [{ op: 'Slice', inputs: ['x', 'from', 'one', 'one', 'two'], outputs: ['y'] }],
    },
  ],
  [
    'a slice that steps through a very long axis',
    'a slice of 65537 elements that steps',
    {
      inputs: { x: { dtype: 'f32', shape: [2 ** 17 + 1] } },
      constants: {
        zero: integerTensor('i64', [0]),
        end: integerTensor('i64', [2 ** 40]),
        two: integerTensor('i64', [2]),
      },
      nodes: [{ op: 'Slice', inputs: ['x', 'zero', 'end', 'zero', 'two'], outputs: ['y'] }],
    },
  ],
])('%s is refused, and says why', (_, problem, spec) => {
  expect(imported(spec).outputs[0]?.node).toMatchObject({ op: 'foreign', attrs: { problem } });
});

describe('a value repeated to a size that is no product', () => {
  const constants = {
    zero: integerTensor('i64', [0], []),
    one: integerTensor('i64', [1]),
    four: integerTensor('i64', [4]),
  };
  const repeated: ModelSpec['nodes'] = [
    { op: 'Shape', inputs: ['x'], outputs: ['sizes'] },
    { op: 'Gather', inputs: ['sizes', 'zero'], outputs: ['batch'] },
    { op: 'Add', inputs: ['batch', 'one'], outputs: ['more'] },
    { op: 'Concat', inputs: ['more', 'four'], outputs: ['shape'], attributes: { axis: { i: 0 } } },
    { op: 'Expand', inputs: ['row', 'shape'], outputs: ['rows'] },
  ];
  const inputs = { x: X, row: { dtype: 'f32', shape: [1, 4] } } as const;

  test.each(['Relu', 'Mystery'])('is refused with a reason, read by %s', (op) => {
    const graph = imported({ inputs, constants, nodes: [...repeated, { op, inputs: ['rows'], outputs: ['y'] }] });
    expect(graph.nodes().filter((node) => node.op === 'foreign')[0]).toMatchObject({
      attrs: { op: 'Expand', problem: 'a size that is no product' },
    });
  });
});

test.each([
  ['on is read as off, which is told once', 1, 0.1, true],
  ['off is read without a word', 0, 0.1, false],
  ['on and drops nothing is read without a word', 1, 0, false],
])('dropout that is switched %s', (_, on, share, isTold) => {
  const constants = {
    ratio: tensorOf('f32', [], Float32Array.of(share)),
    on: tensorOf('bool', [], Uint8Array.of(on)),
  };
  const nodes = [
    { op: 'Dropout', inputs: ['x', 'ratio', 'on'], outputs: ['a'] },
    { op: 'Relu', inputs: ['a'], outputs: ['b'] },
    { op: 'Dropout', inputs: ['b', 'ratio', 'on'], outputs: ['y'] },
  ];
  const notes: string[] = [];
  const bytes = encodeModel(modelProto({ opset: 17, inputs: { x: X }, outputs: ['y'], constants, nodes }));
  const graph = importBytes(bytes, new Map(), (note) => notes.push(note));
  expect(graph.nodes().map(({ op }) => op)).toEqual(['input', 'relu']);
  expect(notes).toEqual(isTold ? [expect.stringContaining('its dropout is switched on')] : []);
});

test('an input larger than numbers can say is refused where it is read', () => {
  const graph = imported({
    inputs: { x: { dtype: 'f32', shape: [2 ** 60, 4] } },
    nodes: [{ op: 'Mystery', inputs: ['x'], outputs: ['y'] }],
  });
  const problems = graph.nodes().flatMap((node) => (node.op === 'foreign' ? [node.attrs] : []));
  expect(problems[0]).toMatchObject({ op: 'Expand', problem: 'a size that is no product' });
});

describe('functions', () => {
  const relu = nodeProto({ op: 'Relu', inputs: ['a'], outputs: ['b'] });
  const sum = nodeProto({ op: 'ReduceMean', inputs: ['b'], outputs: ['c'], attributes: { keepdims: { i: 1 } } });
  const axes = { name: 'axes', refAttrName: 'over', type: 7 };

  test('are read in place of the nodes that call them, with the attributes of the call', () => {
    const body = {
      name: 'Pooled',
      domain: 'test',
      input: ['a'],
      output: ['c'],
      attribute: ['over'],
      opsetImport: [{ domain: '', version: 17 }],
    };
    const graph = imported(
      { nodes: [{ op: 'test::Pooled', inputs: ['x'], outputs: ['y'], attributes: { over: { ints: [-1] } } }] },
      (model) => {
        model.functions = [{ ...body, node: [relu, { ...sum, attribute: [...(sum.attribute ?? []), axes] }] }];
      },
    );
    expect(graph.outputs[0]?.node.name).toBe('Pooled_y/c');
    expect(graph.nodes().map(({ op }) => op)).toEqual(['input', 'relu', 'mean']);
  });
});

describe('sizes', () => {
  const sum = [{ op: 'Add', inputs: ['x', 'z'], outputs: ['y'] }];

  test('of two names that must be equal get one name', () => {
    const z = { dtype: 'f32', shape: ['rows', 4] } as const;
    const graph = imported({ inputs: { x: X, z }, nodes: sum });
    expect(graph.inputs.map(({ type }) => type.shape)).toEqual([
      ['rows', 4],
      ['rows', 4],
    ]);
  });

  test('whose multiples must be equal get one name', () => {
    const x = { dtype: 'f32', shape: ['batch', 2, 4] } as const;
    const z = { dtype: 'f32', shape: ['rows', 2, 4] } as const;
    const nodes = [
      { op: 'Reshape', inputs: ['x', 'flat'], outputs: ['a'] },
      { op: 'Reshape', inputs: ['z', 'flat'], outputs: ['b'] },
      { op: 'Add', inputs: ['a', 'b'], outputs: ['y'] },
    ];
    const graph = imported({ inputs: { x, z }, constants: { flat: integerTensor('i64', [-1, 4]) }, nodes });
    expect(graph.outputs[0]?.node).toMatchObject({ op: 'add', type: { shape: ['2*rows', 4] } });
  });

  test('that meet a number are that number', () => {
    const graph = imported({ nodes: sum, constants: { z: tensorOf('f32', [3, 4], new Float32Array(12)) } });
    expect(graph.inputs[0]?.type.shape).toEqual([3, 4]);
  });

  test('without a name get one', () => {
    const graph = imported({ nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }] }, ({ graph: proto }) => {
      const type = proto?.input?.[0]?.type?.tensorType;
      if (type) type.shape = { dim: [{}, { dimParam: '2*n' }] };
    });
    expect(graph.inputs[0]?.type.shape).toEqual(['x_0', '_2_n']);
  });

  test('that differ make a graph that is none', () => {
    const z = { dtype: 'f32', shape: [3, 4] } as const;
    const graph = imported({ inputs: { x: { dtype: 'f32', shape: [2, 4] }, z }, nodes: sum });
    expect(graphText(graph)).toContain('problem: "sizes that are not equal"');
  });
});

test('an initializer that is also listed as an input is a constant', () => {
  const graph = imported(
    {
      nodes: [{ op: 'Add', inputs: ['x', 'b'], outputs: ['y'] }],
      constants: { b: tensorOf('f32', [4], new Float32Array(4)) },
    },
    ({ graph: proto }) =>
      proto?.input?.push({ name: 'b', type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 4 }] } } } }),
  );
  expect(graph.inputs.map(({ name }) => name)).toEqual(['x']);
});

test('an output may be an input, a constant or a number that is known', () => {
  const graph = imported({
    nodes: [
      { op: 'Identity', inputs: ['x'], outputs: ['y'] },
      { op: 'Shape', inputs: ['w'], outputs: ['s'] },
    ],
    constants: { w: tensorOf('f32', [2], Float32Array.of(1, 2)) },
    outputs: ['y', 'w', 's'],
  });
  expect(graphText(graph)).toMatchInlineSnapshot(`
    "graph graph (x: f32[batch, 4])
    return y: x, w: w f32[2] {1, 2}, s: const_0 i64[1] {2}"
  `);
});

test('a weight that several products share is one constant', () => {
  const graph = imported({
    constants: { w: tensorOf('f32', [4, 4], new Float32Array(16)) },
    nodes: [
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['a'] },
      { op: 'MatMul', inputs: ['a', 'w'], outputs: ['b'] },
      { op: 'Transpose', inputs: ['w'], outputs: ['t'] },
      { op: 'MatMul', inputs: ['b', 't'], outputs: ['y'] },
    ],
  });
  const weights = graph.nodes().flatMap((node) => (node.op === 'linear' ? [node.inputs[1]] : []));
  expect(new Set(weights).size).toBe(2);
  expect(weights[0]).toBe(weights[1]);
});
