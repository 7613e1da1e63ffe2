import { expect, test } from 'vitest';
import { evaluate } from '../../../src/ir/evaluate.ts';
import type { Graph, Node } from '../../../src/ir/graph.ts';
import { sizeOf } from '../../../src/ir/shape.ts';
import { readF32, scalarTensor, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import { parseGraph } from '../../../src/ir/text.ts';
import { Distances, type Pair } from '../../../src/pipelines/training/distances.ts';
import { randomNumbers } from '../../../src/solve/random-numbers.ts';

const [BATCH, SEQUENCE] = [2, 3];
/** The second sequence has a token of padding. */
const MASK = [1, 1, 1, 1, 1, 0];

type Loss = (teacher: Float32Array, student: Float32Array) => number;

const CASES: readonly (readonly [string, readonly (string | number)[], (on: Distances, pair: Pair) => void, Loss])[] = [
  [
    'features of tokens',
    ['batch', 'sequence', 4],
    (on, pair) => on.addFeatures(pair, 0.5),
    (t, s) => 0.5 * relativeError(t, s, (i) => MASK[Math.floor(i / 4)] as number),
  ],
  [
    'features of tokens in one axis',
    ['batch*sequence', 4],
    (on, pair) => on.addFeatures(pair, 2),
    (t, s) => 2 * relativeError(t, s, (i) => MASK[Math.floor(i / 4)] as number),
  ],
  [
    'features of sequences',
    ['batch', 4],
    (on, pair) => on.addFeatures(pair, 1),
    (t, s) => relativeError(t, s, () => 1),
  ],
  [
    'features of which those of first tokens count twice',
    ['batch*sequence', 4],
    (on, pair) => {
      on.weighFirst();
      on.addFeatures(pair, 1);
    },
    (t, s) => {
      const isFirst = (i: number) => Math.floor(i / 4) % SEQUENCE === 0;
      const perSequence = 5 / BATCH;
      return relativeError(t, s, weightOf) + extraError(t, s, (i) => (isFirst(i) ? perSequence : 0));
    },
  ],
  [
    'a class',
    ['batch', 3],
    (on, pair) => on.addAnswers(pair, 'choice'),
    (t, s) => rows(t, s, 3).reduce((sum, row) => sum + answer(...row) / BATCH, 0),
  ],
  [
    'labels, each of which applies or not',
    ['batch', 3],
    (on, pair) => on.addAnswers(pair, 'labels'),
    (t, s) => rows(t, s, 3).reduce((sum, row) => sum + labels(...row) / BATCH, 0),
  ],
  [
    'classes of tokens',
    ['batch', 'sequence', 4],
    (on, pair) => on.addAnswers(pair, 'token-choices'),
    (t, s) => rows(t, s, 4).reduce((sum, row, i) => sum + ((MASK[i] as number) * answer(...row)) / 5, 0),
  ],
];

test.each(CASES)('the gradient of the distance of %s', (_, shape, add, loss) => {
  const type = `f32[${shape.join(', ')}]`;
  const graph = parseGraph(`graph g (attention_mask: i64[batch, sequence], t: ${type}, s: ${type})
  y = tanh(s)
return y: y
`);
  const [mask, teacher, student] = graph.inputs as readonly [Node, Node, Node];
  const distances = new Distances(graph, [mask] as never);
  add(distances, { teacher, student });
  const { feeds, t, s } = feedsOf(graph, distances);
  const gradient = readSeed(graph, distances.seeds.get(student) as Node, feeds);
  expect([...distances.seeds.keys()]).toEqual([student]);
  for (const [i, value] of gradient.entries()) {
    const at = (by: number) => loss(t, s.with(i, (s[i] as number) + by));
    expect(value).toBeCloseTo((at(1e-3) - at(-1e-3)) / 2e-3, 3);
  }
});

test.each([
  ['all tokens, without rows of padding', 'sequence', MASK],
  ["each sequence's first token", '1', [1, 1]],
] as const)('the gradient of attention of %s is that of KL(teacher ‖ student) by the scores', (_, queries, weights) => {
  const type = `f32[batch, 2, ${queries}, sequence]`;
  const graph = parseGraph(`graph g (attention_mask: i64[batch, sequence], t: ${type}, s: ${type})
  p = softmax(t)
  q = softmax(s)
return p: p, q: q
`);
  const [mask, , scores] = graph.inputs as readonly [Node, Node, Node];
  const [p, q] = graph.outputs.map(({ node }) => node) as [Node, Node];
  const distances = new Distances(graph, [mask] as never);
  distances.addAttention({ teacher: p, student: q }, 0.25);
  const { feeds, t, s } = feedsOf(graph, distances);
  const gradient = readSeed(graph, distances.seeds.get(scores) as Node, feeds);
  const perSequence = weights.length / BATCH;
  const count = weights.reduce((sum: number, weight) => sum + weight, 0);
  const loss = (moved: Float32Array) =>
    rows(t, moved, SEQUENCE).reduce((sum, [a, b], row) => {
      const [sequence, query] = [Math.floor(row / (2 * perSequence)), row % perSequence];
      const weight = weights[sequence * perSequence + query] as number;
      return sum + (weight * divergence(a, b) * 0.25) / (2 * count);
    }, 0);
  for (const [i, value] of gradient.entries()) {
    const at = (by: number) => loss(s.with(i, (s[i] as number) + by));
    expect(value).toBeCloseTo((at(1e-3) - at(-1e-3)) / 2e-3, 3);
  }
});

test('the gradient of a span is that of places in the sequence, padding left out', () => {
  const graph =
    parseGraph(`graph g (attention_mask: i64[batch, sequence], t: f32[batch, sequence], s: f32[batch, sequence])
  y = tanh(s)
return y: y
`);
  const [mask, teacher, student] = graph.inputs as readonly [Node, Node, Node];
  const distances = new Distances(graph, [mask] as never);
  distances.addAnswers({ teacher, student }, 'span');
  const { feeds, t, s } = feedsOf(graph, distances);
  const gradient = readSeed(graph, distances.seeds.get(student) as Node, feeds);
  const [p, q] = [t, s].map((values) => rows(values, values, SEQUENCE).flatMap(([row]) => softmax(row))) as [
    number[],
    number[],
  ];
  for (const [i, value] of gradient.entries()) {
    const slope = (q[i] as number) - (p[i] as number) + (0.2 * ((s[i] as number) - (t[i] as number))) / (5 / BATCH);
    expect(value).toBeCloseTo(((MASK[i] as number) * slope) / BATCH, 5);
  }
});

test('the gradient of labels is that of their cross-entropy, and none without a label', () => {
  const graph =
    parseGraph(`graph g (attention_mask: i64[batch, sequence], labels: f32[batch, 3], t: f32[batch, 3], s: f32[batch, 3])
  y = tanh(s)
return y: y
`);
  const [mask, labels, , student] = graph.inputs as readonly [Node, Node, Node, Node];
  const distances = new Distances(graph, [mask] as never);
  distances.addLabels(student, labels);
  const { feeds, s } = feedsOf(graph, distances);
  feeds.set('labels', tensorOf('f32', [BATCH, 3], Float32Array.of(0, 1, 0, 0, 0, 0)));
  const gradient = readSeed(graph, distances.seeds.get(student) as Node, feeds);
  const loss = (moved: Float32Array) => -Math.log(softmax(moved.subarray(0, 3))[1] as number) / BATCH;
  for (const [i, value] of gradient.entries()) {
    const at = (by: number) => loss(s.with(i, (s[i] as number) + by));
    expect(value).toBeCloseTo((at(1e-3) - at(-1e-3)) / 2e-3, 3);
  }
});

function feedsOf(graph: Graph, { sizes }: Distances) {
  const random = randomNumbers(3);
  const bindings: { readonly [symbol: string]: number } = { batch: BATCH, sequence: SEQUENCE, 'batch*sequence': 6 };
  const feeds = new Map<string, Tensor>([
    ['attention_mask', tensorOf('i64', [BATCH, SEQUENCE], BigInt64Array.from(MASK, BigInt))],
  ]);
  for (const name of ['t', 's']) {
    const input = graph.inputs.find((each) => each.name === name) as Node;
    const shape = input.type.shape.map((dim) => (typeof dim === 'number' ? dim : (bindings[dim] as number)));
    feeds.set(
      name,
      tensorOf(
        'f32',
        shape,
        Float32Array.from({ length: sizeOf(shape) }, () => 4 * random() - 2),
      ),
    );
  }
  for (const [symbol, { name }] of sizes) feeds.set(name, scalarTensor(bindings[symbol] as number));
  return { feeds, t: readF32(feeds.get('t') as Tensor), s: readF32(feeds.get('s') as Tensor) };
}

function readSeed(graph: Graph, node: Node, feeds: ReadonlyMap<string, Tensor>): Float32Array {
  return readF32(evaluate(graph.withOutputs([{ name: 'seed', node }]), feeds).get('seed') as Tensor);
}

function rows(a: Float32Array, b: Float32Array, width: number): [Float32Array, Float32Array][] {
  return Array.from({ length: a.length / width }, (_, i) => [
    a.subarray(i * width, (i + 1) * width),
    b.subarray(i * width, (i + 1) * width),
  ]);
}

function weightOf(i: number): number {
  return MASK[Math.floor(i / 4)] as number;
}

/** Σ w (s - t)² as a share of the power of all tokens. */
function extraError(t: Float32Array, s: Float32Array, weight: (i: number) => number): number {
  let [error, power] = [0, 0];
  for (const [i, value] of t.entries()) {
    error += weight(i) * ((s[i] as number) - value) ** 2;
    power += weightOf(i) * value ** 2;
  }
  return error / power;
}

function relativeError(t: Float32Array, s: Float32Array, weight: (i: number) => number): number {
  let [error, power] = [0, 0];
  for (const [i, value] of t.entries()) {
    error += weight(i) * ((s[i] as number) - value) ** 2;
    power += weight(i) * value ** 2;
  }
  return error / power;
}

/** KL of the answers and a tenth of the mean squared error. */
function answer(t: Float32Array, s: Float32Array): number {
  return divergence(t, s) + (0.1 * t.reduce((sum, value, i) => sum + ((s[i] as number) - value) ** 2, 0)) / t.length;
}

function divergence(t: Float32Array, s: Float32Array): number {
  const [p, q] = [softmax(t), softmax(s)];
  return p.reduce((sum, value, i) => sum + value * Math.log(value / (q[i] as number)), 0);
}

function softmax(values: Float32Array): number[] {
  const powers = Array.from(values, Math.exp);
  const sum = powers.reduce((total, value) => total + value);
  return powers.map((value) => value / sum);
}

/** Σ KL of Bernoullis and a tenth of the mean squared error. */
function labels(t: Float32Array, s: Float32Array): number {
  return t.reduce((sum, value, i) => {
    const [p, q] = [value, s[i] as number].map((x) => 1 / (1 + Math.exp(-x))) as [number, number];
    const divergence = p * Math.log(p / q) + (1 - p) * Math.log((1 - p) / (1 - q));
    return sum + divergence + (0.1 * ((s[i] as number) - value) ** 2) / t.length;
  }, 0);
}
