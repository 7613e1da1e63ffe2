import { afterEach, describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../src/formats/checkpoint.ts';
import type { JsonValue } from '../../src/formats/json.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import { integerTensor, readF32, readIntegers, type Tensor } from '../../src/ir/tensor.ts';
import { type BuiltModel, buildModel, describeModel } from '../../src/models/index.ts';
import { bucketOf } from '../../src/models/relative-bias.ts';
import { CHECKPOINTS, changed, differences, openCheckpoint, readArray, readManifest } from './corpus.ts';

const DYNAMIC = { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' } as const;
const FAMILY = CHECKPOINTS.filter((name) => name.startsWith('family-'));

const opened: Checkpoint[] = [];
afterEach(() => {
  for (const checkpoint of opened.splice(0)) checkpoint.close();
});

async function open(name: string): Promise<Checkpoint> {
  const checkpoint = await openCheckpoint(name);
  opened.push(checkpoint);
  return checkpoint;
}

async function built(name: string, config: Readonly<Record<string, JsonValue | undefined>> = {}): Promise<BuiltModel> {
  return buildModel(changed(await open(name), {}, config), DYNAMIC);
}

/** Rows of token ids, one type for all, and a mask that leaves out what is `pad`. */
function feedsOf(rows: readonly (readonly number[])[], pad: number): Map<string, Tensor> {
  const shape = [rows.length, rows[0]?.length ?? 0];
  const ids = rows.flat();
  const mask = ids.map((id) => (id === pad ? 0 : 1));
  return new Map([
    ['input_ids', integerTensor('i64', ids, shape)],
    ['attention_mask', integerTensor('i64', mask, shape)],
    ['token_type_ids', integerTensor('i64', new Array(ids.length).fill(0), shape)],
  ]);
}

function run({ graph }: BuiltModel, feeds: ReadonlyMap<string, Tensor>): Float32Array {
  const wanted = new Map(graph.inputs.map(({ name }) => [name, feeds.get(name) as Tensor]));
  return readF32(evaluate(graph, wanted).values().next().value as Tensor);
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] as number))), 0);
}

/** Nothing but the order of sums differs. */
const ROUNDING = 1e-5;

describe('a sequence without its padding gives what it gives with it', () => {
  test.each(FAMILY.filter((name) => readManifest(name).head !== 'mc'))('%s', async (name) => {
    const model = await built(name);
    const { inputs, expected } = readManifest(name);
    const feeds = new Map(
      model.graph.inputs.map((input) => [input.name, readArray(name, inputs[input.name]?.file ?? '')]),
    );
    const [rows, length] = (feeds.get('input_ids') as Tensor).shape as [number, number];
    const whole = run(model, feeds);
    const row = rows - 1;
    const mask = readIntegers(feeds.get('attention_mask') as Tensor);
    const valid = mask.slice(row * length, (row + 1) * length).reduce((sum, value) => sum + value, 0);
    expect(valid).toBeLessThan(length);
    const cut = new Map(
      [...feeds].map(([input, tensor]) => {
        const values = [...readIntegers(tensor)].slice(row * length, row * length + valid);
        return [input, integerTensor('i64', values, [1, valid])];
      }),
    );
    const own = run(model, cut);
    const perRow = whole.length / rows;
    expect(Object.keys(expected).length).toBeGreaterThan(0);
    const answer = whole.subarray(row * perRow, row * perRow + own.length);
    expect(largestDifference(own, answer)).toBeLessThan(ROUNDING * Math.max(1, ...answer.map(Math.abs)));
  });
});

describe('positions that count tokens', () => {
  test.each(['family-roberta-base', 'family-mpnet-base'])('%s: padding in front moves no token', async (name) => {
    // MPNet's bias is by distance, which padding in front leaves alone as well.
    const model = await built(name);
    const tokens = [0, 20, 700, 33, 2];
    const plain = run(model, feedsOf([tokens], 1));
    const width = plain.length / tokens.length;
    const padded = run(model, feedsOf([[1, 1, 1, ...tokens, 1]], 1));
    expect(largestDifference(padded.slice(3 * width, 8 * width), plain)).toBeLessThan(ROUNDING);
  });

  test('start behind the row of padding, whichever that is', async () => {
    const checkpoint = await open('family-roberta-base');
    const tokens = [10, 20, 700, 33, 12];
    const first = run(buildModel(checkpoint, DYNAMIC), feedsOf([tokens], 1));
    const moved = run(buildModel(changed(checkpoint, {}, { pad_token_id: 4 }), DYNAMIC), feedsOf([tokens], 4));
    const table = checkpoint.tensors.get('embeddings.position_embeddings.weight') as Tensor;
    const rotated = Float32Array.from(readF32(table));
    rotated.copyWithin(5 * 32, 2 * 32, 7 * 32);
    const same = { ...table, dtype: 'f32' as const, bytes: () => new Uint8Array(rotated.buffer) };
    const shifted = changed(checkpoint, { 'embeddings.position_embeddings.weight': same }, { pad_token_id: 4 });
    expect(largestDifference(first, moved)).toBeGreaterThan(0.1);
    expect(largestDifference(run(buildModel(shifted, DYNAMIC), feedsOf([tokens], 4)), first)).toBe(0);
  });

  test('leave fewer tokens than the table has rows', async () => {
    const checkpoint = await open('family-roberta-base');
    expect(describeModel(checkpoint).maxPositions).toBe(64);
    expect(() => buildModel(checkpoint, { ...DYNAMIC, sequenceLength: 65 })).toThrow(
      '--sequence-length: 65 is more than the 64 tokens that max_position_embeddings 66 leaves room for',
    );
  });
});

describe('buckets of distances', () => {
  test.each([
    [0, 0],
    [-7, 7],
    [-8, 8],
    [-11, 8],
    [-12, 9],
    [-16, 10],
    [-31, 11],
    [-32, 12],
    [-63, 13],
    [-64, 14],
    [-91, 15],
    [-500, 15],
    [1, 17],
    [7, 23],
    [8, 24],
    [64, 30],
    [500, 31],
  ])('key - query %d is in bucket %d', (distance, bucket) => {
    expect(bucketOf(distance, { count: 32, maxDistance: 128 })).toBe(bucket);
  });

  test('are 32 also where the table has more rows', async () => {
    const checkpoint = await open('family-mpnet-base');
    const name = 'encoder.relative_attention_bias.weight';
    const table = checkpoint.tensors.get(name) as Tensor;
    const rows = new Float32Array(40 * 4).fill(7);
    rows.set(readF32(table));
    const longer = { ...table, shape: [40, 4], bytes: () => new Uint8Array(rows.buffer) };
    const { graph } = buildModel(
      changed(checkpoint, { [name]: longer }, { relative_attention_num_buckets: 40 }),
      DYNAMIC,
    );
    for (const ratio of differences('family-mpnet-base', graph).values()) expect(ratio).toBeLessThan(0.1);
  });
});

describe('the task', () => {
  test.each([
    ['bert-mlm', 'BertLMHeadModel', 'masked-lm'],
    ['family-camembert-mlm', 'CamembertForCausalLM', 'masked-lm'],
    ['family-electra-disc', 'ElectraForPreTraining', 'replaced-tokens'],
    ['family-electra-mlm', undefined, 'masked-lm'],
    ['family-electra-disc', undefined, 'replaced-tokens'],
    ['family-electra-seqcls', undefined, 'sequence-classification'],
    ['family-xlmr-seqcls', undefined, 'sequence-classification'],
    ['family-mpnet-base', undefined, 'features'],
    ['family-albert-pretraining', undefined, 'pretraining'],
    ['family-albert-pretraining', 'AlbertForPreTraining', 'pretraining'],
  ])('of %s as %s is %s', async (name, className, task) => {
    const architectures = className === undefined ? undefined : [className];
    expect((await built(name, { architectures })).task).toBe(task);
  });

  test('replaced-tokens is for families that have such a head', async () => {
    const checkpoint = await open('bert-seqcls');
    expect(() => buildModel(checkpoint, { ...DYNAMIC, task: 'replaced-tokens' })).toThrow(
      '--task replaced-tokens: bert models have no such head',
    );
  });

  test('gives multiple choice of ELECTRA the summary that its config asks for', async () => {
    const checkpoint = await open('family-electra-seqcls');
    const head = new Map(
      [...checkpoint.tensors].map(([name, tensor]) => [
        name.replace('classifier.dense', 'sequence_summary.summary'),
        tensor,
      ]),
    );
    const row = checkpoint.tensors.get('classifier.dense.weight') as Tensor;
    const one = { ...row, shape: [1, 32], bytes: () => row.bytes().slice(0, 128) };
    const bias = { ...one, shape: [1], bytes: () => row.bytes().slice(0, 4) };
    for (const name of ['classifier.out_proj.weight', 'classifier.out_proj.bias']) head.delete(name);
    head.set('classifier.weight', one).set('classifier.bias', bias);
    const model = (config: Readonly<Record<string, JsonValue>>) => {
      const { tensors } = { ...checkpoint, tensors: head };
      return buildModel({ ...changed(checkpoint, {}, config), tensors }, { ...DYNAMIC, task: 'multiple-choice' });
    };
    const ops = (config: Readonly<Record<string, JsonValue>>) =>
      model(config)
        .graph.nodes()
        .filter(({ name }) => name.startsWith('sequence_summary.') && !/weight|bias/.test(name))
        .map(({ op }) => op);
    expect(ops({})).toEqual(['slice', 'reshape', 'linear', 'gelu']);
    expect(ops({ summary_activation: 'tanh' })).toEqual(['slice', 'reshape', 'linear', 'tanh']);
    expect(ops({ summary_use_proj: false, summary_activation: '' })).toEqual(['slice', 'reshape']);
    // As transformers 4 writes that there is none.
    expect(ops({ summary_activation: null })).toEqual(['slice', 'reshape', 'linear']);
    expect(() => model({ summary_type: 'mean' })).toThrow('summary_type: "mean" is not supported');
    expect(() => model({ summary_proj_to_labels: true })).toThrow('summary_proj_to_labels: true is not supported');
  });
});

describe('is refused', () => {
  test.each<[name: string, config: Readonly<Record<string, JsonValue>>, problem: string]>([
    [
      'family-roberta-base',
      { pad_token_id: 65 },
      'pad_token_id: 65 leaves no token a position of max_position_embeddings 66',
    ],
    ['family-roberta-base', { pad_token_id: -1 }, 'pad_token_id: must be an integer from 0'],
    ['family-roberta-base', { is_decoder: true }, 'is_decoder: true is not supported'],
    [
      'family-roberta-base',
      { position_embedding_type: 'relative_key' },
      'position_embedding_type: "relative_key" is not',
    ],
    [
      'family-camembert-mlm',
      { architectures: ['CamembertForCausalLM'], is_decoder: true },
      'is_decoder: true is not supported',
    ],
    [
      'family-mpnet-base',
      { relative_attention_num_buckets: 16 },
      'relative_attention_num_buckets: 16 is less than the 32 in use',
    ],
    [
      'family-electra-base',
      { embedding_size: 32 },
      'embedding_size: is 32, but embeddings.position_embeddings.weight has 16 columns',
    ],
    ['family-albert-seqcls', { num_hidden_groups: 2 }, 'all weights of layer group 1 are missing'],
    ['family-albert-seqcls', { inner_group_num: 2 }, 'all weights of layer 1 in layer group 0 are missing'],
    ['family-albert-seqcls', { num_hidden_layers: 1001 }, 'num_hidden_layers: 1001 is more than 1000'],
    ['family-rembert-seqcls', { input_embedding_size: 16 }, 'input_embedding_size: is 16, but'],
    ['family-ernie-task', { task_type_vocab_size: 4 }, 'task_type_vocab_size: is 4, but'],
    [
      'bert-seqcls',
      { model_type: 'convbert' },
      'model_type: "convbert" is not supported: half of its attention is convolutions',
    ],
  ])('%s with %j', async (name, config, problem) => {
    await expect(built(name, config)).rejects.toThrow(problem);
  });
});

test('a DistilBERT without a table of positions computes its waves, where the config says that they are waves', async () => {
  const checkpoint = await open('family-distilbert-sinus');
  const name = 'distilbert.embeddings.position_embeddings.weight';
  const without = changed(checkpoint, { [name]: undefined });
  const { graph } = buildModel(without, DYNAMIC);
  const table = graph.nodes().find((node) => node.name === name);
  const values = readF32((table as Extract<typeof table, { op: 'constant' }>).tensor);
  const at = (position: number, column: number) => values[position * 32 + column] as number;
  expect([at(0, 0), at(0, 1), at(0, 30), at(0, 31)]).toEqual([0, 1, 0, 1]);
  expect(at(3, 0)).toBeCloseTo(Math.sin(3), 6);
  expect(at(3, 1)).toBeCloseTo(Math.cos(3), 6);
  // 10000^(16 / 32) = 100
  expect(at(50, 16)).toBeCloseTo(Math.sin(0.5), 6);
  expect(at(50, 17)).toBeCloseTo(Math.cos(0.5), 6);
  expect(() => buildModel(changed(without, {}, { sinusoidal_pos_embds: false }), DYNAMIC)).toThrow(name);
});

test('layers of an ALBERT have names of their own and the weights of their group', async () => {
  const checkpoint = await open('family-albert-seqcls');
  const group = 'albert.encoder.albert_layer_groups.';
  const copies = [...checkpoint.tensors].filter(([name]) => name.startsWith(`${group}0.`));
  const second = Object.fromEntries(copies.map(([name, tensor]) => [name.replace(`${group}0.`, `${group}1.`), tensor]));
  const config = { num_hidden_groups: 2, num_hidden_layers: 5 };
  const { graph } = buildModel(changed(checkpoint, second, config), DYNAMIC);
  const queries = graph.nodes().filter(({ name }) => /layer\.\d+\.attention\.query$/.test(name));
  const weightsOf = queries.map((node) => [node.name, node.inputs[1]?.name]);
  const row = (layer: number, of: number) => [
    `albert.encoder.layer.${layer}.attention.query`,
    `${group}${of}.albert_layers.0.attention.query.weight`,
  ];
  expect(weightsOf).toEqual([row(0, 0), row(1, 0), row(2, 0), row(3, 1), row(4, 1)]);
});
