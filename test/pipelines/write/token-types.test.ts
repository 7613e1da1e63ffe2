import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { MbertError } from '../../../src/errors.ts';
import { readF32 } from '../../../src/ir/tensor.ts';
import { graphText } from '../../../src/ir/text.ts';
import { verifyGraph } from '../../../src/ir/verify-graph.ts';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import { addTokenTypes, dropTokenTypes } from '../../../src/pipelines/write/token-types.ts';
import { graphOf } from '../../core.ts';
import { fixture } from '../../models/corpus.ts';
import { unpacked } from '../../unpacked.ts';
import { modelOf } from '../opened-model.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();

/** Sums of words, positions and token types, in the order of `sums`. */
const embeddings = (sums: string) => `graph g (input_ids: i64[batch, sequence], token_type_ids: i64[batch, sequence])
  words = gather(word_table f32[9, 2] #1, input_ids)
  positions = slice(position_table f32[3, 2] {1, 2, 3, 4, 5, 6}) {end: sequence}
  types = gather(type_table f32[2, 2] {10, 20, 7, 7}, token_type_ids)
${sums}
return x: x`;

/** The graph behind it, and the numbers of its small tables. */
function dropped(text: string): string {
  const graph = graphOf(text);
  dropTokenTypes(graph, modelOf(text, { task: 'features' }));
  verifyGraph(graph, 'dropTokenTypes');
  const tables = graph.nodes().flatMap((node) => (node.op === 'constant' && node.name !== 'word_table' ? [node] : []));
  return [graphText(graph), ...tables.map(({ name, tensor }) => `${name}: ${readF32(tensor).join(' ')}`)].join('\n');
}

describe('row 0 moves into the table of positions', () => {
  test('where types are added first', () => {
    expect(dropped(embeddings('  sum = add(words, types)\n  x = add(sum, positions)'))).toMatchInlineSnapshot(`
      "graph g (input_ids: i64[batch, sequence])
        words = gather(word_table f32[9, 2] #2de62ffc, input_ids)  f32[batch, sequence, 2]
        positions = slice(position_table.with_types f32[3, 2] #53e44ecd) {end: sequence}  f32[sequence, 2]
        x = add(words, positions)  f32[batch, sequence, 2]
      return x: x
      position_table.with_types: 11 22 13 24 15 26"
    `);
  });

  test('where they are added last', () => {
    expect(dropped(embeddings('  sum = add(words, positions)\n  x = add(types, sum)'))).toMatchInlineSnapshot(`
      "graph g (input_ids: i64[batch, sequence])
        words = gather(word_table f32[9, 2] #2de62ffc, input_ids)  f32[batch, sequence, 2]
        positions = slice(position_table.with_types f32[3, 2] #53e44ecd) {end: sequence}  f32[sequence, 2]
        sum = add(words, positions)  f32[batch, sequence, 2]
      return x: sum
      position_table.with_types: 11 22 13 24 15 26"
    `);
  });
});

test('row 0 is added by itself where there is no such table', () => {
  const text = embeddings('  x = add(words, types)');
  expect(dropped(text)).toMatchInlineSnapshot(`
    "graph g (input_ids: i64[batch, sequence])
      words = gather(word_table f32[9, 2] #2de62ffc, input_ids)  f32[batch, sequence, 2]
      x = add(words, types.first f32[2] {10, 20})  f32[batch, sequence, 2]
    return x: x
    types.first: 10 20"
  `);
});

test('a table of positions that something else reads stays as it is', () => {
  const sums = '  sum = add(words, positions)\n  both = add(sum, types)\n  x = mul(both, positions)';
  expect(dropped(embeddings(sums))).toMatchInlineSnapshot(`
    "graph g (input_ids: i64[batch, sequence])
      words = gather(word_table f32[9, 2] #2de62ffc, input_ids)  f32[batch, sequence, 2]
      positions = slice(position_table f32[3, 2] #24ae2dfe) {end: sequence}  f32[sequence, 2]
      sum = add(words, positions)  f32[batch, sequence, 2]
      both = add(sum, types.first f32[2] {10, 20})  f32[batch, sequence, 2]
      x = mul(both, positions)  f32[batch, sequence, 2]
    return x: x
    position_table: 1 2 3 4 5 6
    types.first: 10 20"
  `);
});

test.each([
  [
    'a model that counts with them',
    'features',
    embeddings('  read = cast(token_type_ids)\n  x = mul(read, read)'),
    'UNSUPPORTED: tiny: x: reads token types as something else than rows of a table',
  ],
  [
    'a model that has none',
    'features',
    'graph g (input_ids: i64[1, 4])\n  x = gather(table f32[9, 2] #1, input_ids)\nreturn x: x',
    'USAGE: --drop-token-types: tiny takes no token types',
  ],
  [
    'a model that needs them',
    'qa',
    embeddings('  x = add(words, types)'),
    'USAGE: --drop-token-types: a model for qa tells two texts apart by them',
  ],
] as const)('%s is refused', (_, task, text, refusal) => {
  try {
    dropTokenTypes(graphOf(text), modelOf(text, { task }));
    expect.unreachable();
  } catch (cause) {
    const { code, message } = cause as MbertError;
    expect(`${code}: ${message}`).toBe(refusal);
  }
});

test.each(['minilm-features', 'family-nomicbert-seqcls', 'hf-seqcls', 'family-bert-seqcls--m5-sdpa-dyn-dynamic'])(
  '%s answers without token types as its source does where all are 0',
  async (name) => {
    const source = unpacked(fixture(name));
    for (const target of ['onnx', 'tflite'] as const) {
      const output = join(folder, `${name}.${target}`);
      const { results } = await convert({ source, output, dropTokenTypes: true, verify: true });
      expect(results[0]?.inputs.map((input) => input.name)).toEqual(['input_ids', 'attention_mask']);
      expect(results[0]?.verify?.ok).toBe(true);
    }
  },
);

test('an input that nothing reads is added to those of ids and mask alone', () => {
  const inputsOf = (text: string) => {
    const graph = graphOf(text);
    addTokenTypes(graph);
    return graph.inputs.map(({ name }) => name);
  };
  const body = '\n  x = cast(input_ids)\nreturn x: x';
  expect(inputsOf(`graph g (input_ids: i32[1, 4])${body}`)).toEqual(['input_ids']);
  expect(inputsOf(`graph g (input_ids: i32[1, 4], attention_mask: i32[1, 4])${body}`)).toEqual([
    'input_ids',
    'attention_mask',
    'token_type_ids',
  ]);
});
