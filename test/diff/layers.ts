import type { Graph } from '../../src/ir/graph.ts';
import { takeF32, tensorOf } from '../../src/ir/tensor.ts';
import { parseGraph } from '../../src/ir/text.ts';
import { randomTensor } from '../core.ts';

/** What may be said of one layer in place of the usual. */
export interface LayerChange {
  /** The number that its weights are named by. */
  readonly weights?: number;
  /** The number that their values are made from; default: the same. */
  readonly seeds?: number;
  readonly drop?: boolean;
}

/** Text of a small BERT with two heads: `layers` encoder layers of a width of 8, GELU, LayerNorm and a span head. */
export function bertText(layers = 3, change: (layer: number) => LayerChange = () => ({})): string {
  const lines = [
    'graph bert (input_ids: i64[batch, sequence], attention_mask: i64[batch, sequence], token_type_ids: i64[batch, sequence])',
    '  words = gather(embeddings.word.weight f32[16, 8] #1, input_ids)',
    '  types = gather(embeddings.type.weight f32[2, 8] #2, token_type_ids)',
    '  embedded = add(words, types)',
    '  start = layerNorm(embedded, embeddings.norm.weight f32[8] #3, embeddings.norm.bias f32[8] #4)',
    '  attended = cast(attention_mask) {to: f32}',
    '  padding = sub(one f32[] {1}, attended)',
    '  low = mul(padding, least f32[] {-10000})',
    '  mask = reshape(low) {shape: [batch, 1, 1, sequence]}',
  ];
  let x = 'start';
  for (let n = 0; n < layers; n++) {
    const { weights = n, seeds = weights, drop = false } = change(n);
    if (drop) continue;
    lines.push(...layerLines(n, weights, seeds, x));
    x = `l${n}.out`;
  }
  lines.push(
    `  logits = linear(${x}, head.weight f32[2, 8] #5, head.bias f32[2] #6)`,
    '  start_logits = slice(logits) {axis: 2, end: 1}',
    '  end_logits = slice(logits) {axis: 2, start: 1, end: 2}',
    'return start: start_logits, end: end_logits',
  );
  return lines.join('\n');
}

function layerLines(n: number, weights: number, seeds: number, x: string): string[] {
  let seed = 256 + 32 * seeds;
  const weight = (name: string, shape: string) => `layer.${weights}.${name} f32${shape} #${(seed++).toString(16)}`;
  const dense = (name: string, rows = 8, columns = 8) =>
    `${weight(`${name}.weight`, `[${rows}, ${columns}]`)}, ${weight(`${name}.bias`, `[${rows}]`)}`;
  const norm = (name: string) => `${weight(`${name}.weight`, '[8]')}, ${weight(`${name}.bias`, '[8]')}`;
  const heads = (name: string) => [
    `  l${n}.${name} = linear(${x}, ${dense(name)})`,
    `  l${n}.${name}.split = reshape(l${n}.${name}) {shape: [batch, sequence, 2, 4]}`,
    `  l${n}.${name}.heads = transpose(l${n}.${name}.split) {permutation: [0, 2, 1, 3]}`,
  ];
  return [
    ...heads('query'),
    ...heads('key'),
    ...heads('value'),
    `  l${n}.products = matmul(l${n}.query.heads, l${n}.key.heads) {transposeB: true}`,
    `  l${n}.scaled = mul(l${n}.products, l${n}.scale f32[] {0.5})`,
    `  l${n}.masked = add(l${n}.scaled, mask)`,
    `  l${n}.probabilities = softmax(l${n}.masked)`,
    `  l${n}.mixed = matmul(l${n}.probabilities, l${n}.value.heads)`,
    `  l${n}.join = transpose(l${n}.mixed) {permutation: [0, 2, 1, 3]}`,
    `  l${n}.context = reshape(l${n}.join) {shape: [batch, sequence, 8]}`,
    `  l${n}.output = linear(l${n}.context, ${dense('output')})`,
    `  l${n}.residual = add(l${n}.output, ${x})`,
    `  l${n}.norm = layerNorm(l${n}.residual, ${norm('norm')})`,
    `  l${n}.up = linear(l${n}.norm, ${dense('up', 16)})`,
    `  l${n}.active = gelu(l${n}.up)`,
    `  l${n}.down = linear(l${n}.active, ${dense('down', 8, 16)})`,
    `  l${n}.sum = add(l${n}.down, l${n}.norm)`,
    `  l${n}.out = layerNorm(l${n}.sum, ${norm('out')})`,
  ];
}

/** The text with each `from` replaced, which must be there. */
export function edited(text: string, ...edits: readonly (readonly [from: string | RegExp, to: string])[]): string {
  return edits.reduce((result, [from, to]) => {
    const changed = result.replace(from, to);
    if (changed === result) throw new Error(`${from} changes nothing`);
    return changed;
  }, text);
}

/** Values by seed as `graphOf` makes them, some changed: `change` gets a constant's name and its values, which it may edit. */
export function bertWith(change: (name: string, values: Float32Array) => void, text = bertText()): Graph {
  return parseGraph(text, (name, type, hash) => {
    const values = takeF32(randomTensor(type, Number.parseInt(hash.slice(1), 16)));
    change(name, values);
    return tensorOf('f32', type.shape, values);
  });
}
