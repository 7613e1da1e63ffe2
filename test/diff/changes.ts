import type { Constant, Graph, Node } from '../../src/ir/graph.ts';
import { convertTensor, type Quant, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { graphOf } from '../core.ts';
import { bertText, bertWith, edited } from './layers.ts';

type Edit = readonly [from: string | RegExp, to: string];

/** What was done to a model, with both sides of it. */
export interface Change {
  readonly name: string;
  readonly a: Graph;
  readonly b: Graph;
}

const edits: readonly (readonly [name: string, ...edits: Edit[]])[] = [
  ['an epsilon changed', [/(l1\.norm = layerNorm\(.*\))/, '$1 {epsilon: 0.001}']],
  ['gelu by tanh', [/(l1\.active = gelu\(l1\.up\))/, '$1 {tanh: true}']],
  ['gelu became relu', ['l1.active = gelu(l1.up)', 'l1.active = relu(l1.up)']],
  [
    'gelu became relu, under another name',
    ['l1.active = gelu(l1.up)', 'relu_7 = relu(l1.up)'],
    ['linear(l1.active', 'linear(relu_7'],
  ],
  [
    'relu moved into the linear',
    [/(l1\.up = .*\))/, '$1 {activation: relu}'],
    [/ {2}l1\.active.*\n/, ''],
    ['(l1.active', '(l1.up'],
  ],
  ['the mask constant', ['{-10000}', '{-1e+09}']],
  ['the scale of attention', ['l1.scale f32[] {0.5}', 'l1.scale f32[] {0.25}']],
  ['a residual edge removed', [/ {2}l1\.residual = .*\n/, ''], ['layerNorm(l1.residual', 'layerNorm(l1.output']],
  ['a residual that reads something else', ['add(l1.output, l0.out)', 'add(l1.output, l0.norm)']],
  ['heads that all read something else', [/(l2\.(?:query|key|value) = linear\()l1\.out/g, '$1l1.norm']],
  ['operands of a commutative op in another order', ['add(l1.output, l0.out)', 'add(l0.out, l1.output)']],
  ['query and key changed places', ['matmul(l1.query.heads, l1.key.heads)', 'matmul(l1.key.heads, l1.query.heads)']],
  ['an output renamed', ['return start:', 'return begin:']],
  ['outputs swapped', ['start: start_logits, end: end_logits', 'start: end_logits, end: start_logits']],
  ['outputs in another order', ['start: start_logits, end: end_logits', 'end: end_logits, start: start_logits']],
  ['an output added', ['end: end_logits', 'end: end_logits, hidden: l2.out']],
  ['an output removed', [', end: end_logits', '']],
  ['an output that gives something else', ['start: start_logits', 'start: logits']],
  [
    'an output that another op gives',
    [/start_logits = .*\n/, 'first = linear(l2.out, head.first f32[1, 8] #77)\n'],
    ['start: start_logits', 'start: first'],
  ],
  ['a slice of other columns', ['{axis: 2, end: 1}', '{axis: 2, start: 1, end: 2}']],
  ['a bias removed', [/, layer\.1\.key\.bias f32\[8\] #\w+/, '']],
  [
    'a node inserted',
    ['linear(l1.active', 'linear(clipped'],
    ['  l1.down =', '  clipped = relu(l1.active)\n  l1.down ='],
  ],
  ['an input renamed', [/input_ids/g, 'ids']],
  ['input names swapped', ['input_ids)', 'x)'], ['token_type_ids)', 'input_ids)'], ['x)', 'token_type_ids)']],
  ['inputs in another order', [/(\w+: i64\S+ \w+\]), (\w+: i64\S+ \w+\])\)/, '$2, $1)']],
  [
    'token types removed',
    [', token_type_ids: i64[batch, sequence]', ''],
    [/ {2}types = .*\n/, ''],
    [/ {2}embedded = .*\n/, ''],
    ['layerNorm(embedded', 'layerNorm(words'],
  ],
  ['an input of another dtype', ['input_ids: i64', 'input_ids: i32']],
  ['another sequence length', [/sequence/g, '24']],
  ['a larger vocabulary', ['embeddings.word.weight f32[16, 8] #1', 'embeddings.word.weight f32[20, 8] #1']],
  ['a softmax over another axis', [/(l2\.probabilities = .*\))/, '$1 {axis: 2}']],
];

const weights: readonly (readonly [name: string, change: (name: string, values: Float32Array) => void])[] = [
  ['one weight nudged', (name, values) => at(name === 'layer.1.up.weight', () => add(values, 5, 1e-3))],
  ['a bias zeroed', (name, values) => at(name === 'layer.1.up.bias', () => values.fill(0))],
  ['a weight scaled', (name, values) => at(name === 'layer.1.up.weight', () => scale(values, () => 0.5))],
  [
    'rows scaled',
    (name, values) => at(name === 'layer.1.up.weight', () => scale(values, (i) => 1 + Math.floor(i / 8))),
  ],
  ['rows in another order', (name, values) => at(name === 'layer.1.up.weight', () => rotate(values, 8))],
  ['rounded to 8 bits', (name, values) => at(name === 'layer.1.up.weight', () => round(values, 8))],
  ['a matrix transposed', (name, values) => at(name === 'layer.1.key.weight', () => transpose(values, 8))],
  ['not a number', (name, values) => at(name === 'layer.1.key.weight', () => values.fill(Number.NaN, 3, 4))],
];

function at(here: boolean, change: () => void): void {
  if (here) change();
}

function add(values: Float32Array, i: number, amount: number): void {
  values[i] = (values[i] as number) + amount;
}

function scale(values: Float32Array, factor: (i: number) => number): void {
  for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) * factor(i);
}

function rotate(values: Float32Array, by: number): void {
  const copy = values.slice();
  values.set(copy.subarray(by));
  values.set(copy.subarray(0, by), values.length - by);
}

/** What quantizing and dequantizing leaves, a scale for each row of `width`. */
function round(values: Float32Array, width: number): void {
  for (let start = 0; start < values.length; start += width) {
    const row = values.subarray(start, start + width);
    const step = Math.fround(Math.max(...row.map(Math.abs)) / 127);
    for (let i = 0; i < width; i++) row[i] = Math.round((row[i] as number) / step) * step;
  }
}

function transpose(values: Float32Array, size: number): void {
  const copy = values.slice();
  for (let i = 0; i < values.length; i++) values[i] = copy[(i % size) * size + Math.floor(i / size)] as number;
}

const REAL = Float32Array.from({ length: 16 }, (_, i) => Math.sin(3 * i + 1));
const CHANNELS: Quant = { per: 'channel', axis: 0, scales: Float32Array.of(0.01, 0.02, 0.03, 0.04) };

interface Quantized {
  readonly dtype?: string;
  readonly activation?: string;
  readonly quant?: Quant;
  /** Added to one stored integer. */
  readonly nudge?: number;
}

/** A linear that reads an i8 activation; its weight stands for `REAL`, stored in i8 where `quant` says how. */
function quantized({ dtype = 'i8', activation = 'q(0.1, 3)', quant, nudge = 0 }: Quantized): Graph {
  const graph = graphOf(`graph quantized (x: f32[batch, 4])
    q = quantize(x)  ${dtype}[batch, 4] ${activation}
    y = linear(q, w f32[4, 4] #7, bias f32[4] #8)
    z = linear(y, w2 f32[4, 4] #9)
  return out: z`);
  const weight = graph.nodes().find(({ name }) => name === 'w') as Node;
  graph.replace(weight, () =>
    quant ? graph.constant(stored(quant, nudge), 'w', quant) : graph.constant(tensorOf('f32', [4, 4], REAL), 'w'),
  );
  return graph;
}

/** round(real / scale) + zero point. */
function stored(quant: Quant, nudge: number): Tensor {
  const values = Int8Array.from(REAL, (value, i) => {
    const row = Math.floor(i / 4);
    if (quant.per === 'tensor') return Math.round(value / quant.scale) + quant.zeroPoint;
    return Math.round(value / (quant.scales[row] as number)) + (quant.zeroPoints?.[row] ?? 0);
  });
  values[5] = (values[5] as number) + nudge;
  return tensorOf('i8', [4, 4], values);
}

/** The integers of `CHANNELS` under other scales. */
function rescaled(quant: Quant): Graph {
  const graph = quantized({ quant: CHANNELS });
  const weight = graph.nodes().find(({ name }) => name === 'w') as Constant;
  graph.replace(weight, () => graph.constant(weight.tensor, 'w', quant));
  return graph;
}

const ZEROS = Int32Array.of(0, 4, 0, 0);
const QUANT_BASE = quantized({ quant: CHANNELS });
const quants: readonly (readonly [name: string, a: Graph, b: Graph])[] = [
  ['one scale', QUANT_BASE, rescaled({ ...CHANNELS, scales: Float32Array.of(0.01, 0.02, 0.031, 0.04) })],
  ['zero points', QUANT_BASE, quantized({ quant: { ...CHANNELS, zeroPoints: ZEROS } })],
  ['per channel to per tensor', QUANT_BASE, quantized({ quant: { per: 'tensor', scale: 0.04, zeroPoint: 0 } })],
  ['float weights quantized', quantized({}), QUANT_BASE],
  ['a stored weight nudged', QUANT_BASE, quantized({ quant: CHANNELS, nudge: 1 })],
  ['i8 to u8', QUANT_BASE, quantized({ quant: CHANNELS, dtype: 'u8', activation: 'q(0.1, 131)' })],
  ['the scale of an activation', QUANT_BASE, quantized({ quant: CHANNELS, activation: 'q(0.2, 3)' })],
  ['the zero point of an activation', QUANT_BASE, quantized({ quant: CHANNELS, activation: 'q(0.1, 4)' })],
];

/** What happens to checkpoints between two releases. */
const releases: readonly Change[] = [
  {
    name: 'a layer dropped, those behind it renumbered',
    a: graphOf(bertText(4)),
    b: graphOf(renumbered(bertText(4, (n) => ({ drop: n === 1 })))),
  },
  {
    name: 'two layers swapped',
    a: graphOf(bertText(4)),
    b: graphOf(bertText(4, (n) => ({ weights: [0, 2, 1, 3][n] ?? n }))),
  },
  {
    name: 'two layers swapped, their names not',
    a: graphOf(bertText(4)),
    b: graphOf(bertText(4, (n) => ({ weights: n, seeds: [0, 2, 1, 3][n] ?? n }))),
  },
  {
    name: 'query and key swapped',
    a: graphOf(bertText()),
    b: graphOf(
      edited(
        bertText(),
        [/(layer\.1\.query\.weight f32\[8, 8\]) #\w+/, '$1 #122'],
        [/(layer\.1\.query\.bias f32\[8\]) #\w+/, '$1 #123'],
        [/(layer\.1\.key\.weight f32\[8, 8\]) #\w+/, '$1 #120'],
        [/(layer\.1\.key\.bias f32\[8\]) #\w+/, '$1 #121'],
      ),
    ),
  },
  { name: 'weights stored in f16', a: graphOf(bertText()), b: stored16(graphOf(bertText()), 'layer.1.up.weight') },
  {
    name: 'other node names',
    a: graphOf(bertText()),
    b: graphOf(
      bertText()
        .replaceAll(/\bl(\d)\./g, 'block_$1/')
        .replaceAll('layer.', 'encoder/'),
    ),
  },
];

function renumbered(text: string): string {
  return text.replaceAll(/\b(l|layer\.)([23])\b/g, (_, stem, n) => `${stem}${n - 1}`);
}

function stored16(graph: Graph, name: string): Graph {
  const weight = graph.nodes().find((node) => node.name === name) as Constant;
  graph.replace(weight, () => graph.constant(convertTensor(weight.tensor, 'f16'), name));
  return graph;
}

/** Edits of the text of a three-layer BERT. */
export const EDITS = edits.map(([name, ...replacements]) => ({ name, replacements }));

/** Deliberate changes, each a single thing that somebody did. */
export const CHANGES: readonly Change[] = [
  ...edits.map(([name, ...all]) => ({ name, a: graphOf(bertText()), b: graphOf(edited(bertText(), ...all)) })),
  ...weights.map(([name, change]) => ({ name, a: graphOf(bertText()), b: bertWith(change) })),
  ...quants.map(([name, a, b]) => ({ name, a, b })),
  ...releases,
];
