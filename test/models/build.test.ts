import { describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../src/formats/checkpoint.ts';
import { graphText, typeText } from '../../src/ir/text.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import { buildModel, describeModel, type Task } from '../../src/models/index.ts';
import { changed, openCheckpoint } from './corpus.ts';

const DYNAMIC = { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' } as const;

/** `name: type` of inputs and outputs. */
function signature(checkpoint: Checkpoint, options: Partial<Parameters<typeof buildModel>[1]> = {}): string[] {
  const { graph } = buildModel(checkpoint, { ...DYNAMIC, ...options });
  verifyGraph(graph, 'import');
  const inputs = graph.inputs.map(({ name, type }) => `${name}: ${typeText(type)}`);
  return [...inputs, '->', ...graph.outputs.map(({ name, node }) => `${name}: ${typeText(node.type)}`)];
}

test('builds every node under the path of its module, nothing folded or fused', async () => {
  const checkpoint = await openCheckpoint('hf-qa-ffn1');
  await expect(`${graphText(buildModel(checkpoint, DYNAMIC).graph)}\n`).toMatchFileSnapshot('golden/hf-qa-ffn1.txt');
  checkpoint.close();
});

test('builds the graph of a bare DistilBERT classifier', async () => {
  const checkpoint = await openCheckpoint('distilbert-seqcls');
  await expect(`${graphText(buildModel(checkpoint, DYNAMIC).graph)}\n`).toMatchFileSnapshot(
    'golden/distilbert-seqcls.txt',
  );
  checkpoint.close();
});

describe('inputs and outputs', () => {
  test('are dynamic in batch and sequence', async () => {
    const checkpoint = await openCheckpoint('hf-qa');
    expect(signature(checkpoint)).toEqual([
      'input_ids: i64[batch, sequence]',
      'attention_mask: i64[batch, sequence]',
      'token_type_ids: i64[batch, sequence]',
      '->',
      'start_logits: f32[batch, sequence]',
      'end_logits: f32[batch, sequence]',
    ]);
    checkpoint.close();
  });

  test('are fixed where sizes are given', async () => {
    const checkpoint = await openCheckpoint('hf-tokcls');
    expect(signature(checkpoint, { batch: 2, sequenceLength: 64, indexType: 'i32' })).toEqual([
      'input_ids: i32[2, 64]',
      'attention_mask: i32[2, 64]',
      'token_type_ids: i32[2, 64]',
      '->',
      'logits: f32[2, 64, 5]',
    ]);
    checkpoint.close();
  });

  test.each([
    [{}, ['input_ids: i64[batch, choices, sequence]', 'logits: f32[batch, choices]']],
    [{ batch: 1, sequenceLength: 16, choices: 3 }, ['input_ids: i64[1, 3, 16]', 'logits: f32[1, 3]']],
    [{ sequenceLength: 16, choices: 3 }, ['input_ids: i64[batch, 3, 16]', 'logits: f32[batch, 3]']],
  ] as const)('have choices for multiple choice: %o', async (options, lines) => {
    const checkpoint = await openCheckpoint('hf-multiplechoice');
    expect(signature(checkpoint, options)).toEqual(expect.arrayContaining([...lines]));
    checkpoint.close();
  });

  test('have no token types for DistilBERT', async () => {
    const checkpoint = await openCheckpoint('distilbert-qa');
    expect(signature(checkpoint).filter((line) => line.includes('i64'))).toEqual([
      'input_ids: i64[batch, sequence]',
      'attention_mask: i64[batch, sequence]',
    ]);
    checkpoint.close();
  });

  test('do not outgrow the positions', async () => {
    const checkpoint = await openCheckpoint('hf-qa');
    expect(() => buildModel(checkpoint, { ...DYNAMIC, sequenceLength: 65 })).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        message: "--sequence-length: 65 is more than the model's max_position_embeddings 64",
      }),
    );
    checkpoint.close();
  });
});

describe('the task', () => {
  test.each<[fixture: string, task: Task]>([
    ['hf-qa', 'qa'],
    ['hf-seqcls', 'sequence-classification'],
    ['hf-seqcls-regression', 'sequence-classification'],
    ['hf-tokcls', 'token-classification'],
    ['hf-mlm-tied', 'masked-lm'],
    ['hf-nsp', 'next-sentence'],
    ['hf-multiplechoice', 'multiple-choice'],
    ['hf-pretraining', 'pretraining'],
    ['hf-features', 'features'],
    ['distilbert-qa', 'qa'],
  ])('of %s is %s by its architectures', async (fixture, task) => {
    const checkpoint = await openCheckpoint(fixture);
    expect(describeModel(checkpoint)).toMatchObject({ task, maxPositions: 64 });
    checkpoint.close();
  });

  test.each<[fixture: string, task: Task]>([
    ['hf-qa', 'qa'],
    ['hf-mlm-tied', 'masked-lm'],
    ['hf-nsp', 'next-sentence'],
    ['hf-pretraining', 'pretraining'],
    ['hf-features', 'features'],
  ])('of %s is %s by its weights where the config does not say', async (fixture, task) => {
    const checkpoint = await openCheckpoint(fixture);
    expect(describeModel(changed(checkpoint, {}, { architectures: undefined })).task).toBe(task);
    checkpoint.close();
  });

  test.each([
    [undefined, 'is absent, and the weights fit several tasks'],
    [['MobileBertForSpeech'], 'MobileBertForSpeech is not supported'],
  ])('is asked for with architectures %s', async (architectures, problem) => {
    const checkpoint = await openCheckpoint('hf-seqcls');
    expect(() => describeModel(changed(checkpoint, {}, { architectures }))).toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED',
        message: `fixtures/hf-seqcls/config.json: architectures: ${problem}`,
        hint: expect.stringContaining('--task qa|sequence-classification|'),
      }),
    );
    checkpoint.close();
  });

  test('given wins, and weights that it leaves over are named', async () => {
    const checkpoint = await openCheckpoint('hf-qa');
    const model = buildModel(checkpoint, { ...DYNAMIC, task: 'features' });
    expect(model.graph.outputs.map(({ name }) => name)).toEqual(['last_hidden_state', 'pooler_output']);
    expect(model.unused).toEqual(['qa_outputs.bias', 'qa_outputs.weight']);
    expect(model.warnings).toEqual([
      'fixtures/hf-qa/model.safetensors: qa_outputs.bias and qa_outputs.weight: unused, the model does not need them',
    ]);
    checkpoint.close();
  });

  test('given without its weights is refused with the task that they fit', async () => {
    const checkpoint = await openCheckpoint('hf-qa');
    expect(() => buildModel(checkpoint, { ...DYNAMIC, task: 'token-classification' })).toThrow(
      expect.objectContaining({
        code: 'MISMATCH',
        message: 'fixtures/hf-qa/model.safetensors: classifier.weight and classifier.bias: these weights are missing',
        hint: '--task qa is what the weights fit; the file has unexpected qa_outputs.bias and qa_outputs.weight',
      }),
    );
    checkpoint.close();
  });

  test('features goes without a pooler that the file does not hold', async () => {
    const checkpoint = changed(await openCheckpoint('hf-qa'), {}, { classifier_activation: true });
    const { graph, warnings } = buildModel(checkpoint, { ...DYNAMIC, task: 'features' });
    expect(graph.outputs.map(({ name }) => name)).toEqual(['last_hidden_state']);
    expect(warnings.at(-1)).toBe(
      'fixtures/hf-qa/model.safetensors: mobilebert.pooler.dense.weight: the pooler is not in the file: the model has no output pooler_output',
    );
    checkpoint.close();
  });
});

describe('labels', () => {
  test('come from id2label in their order', async () => {
    const checkpoint = await openCheckpoint('hf-seqcls');
    expect(describeModel(checkpoint).labels).toEqual(['contradiction', 'entailment', 'neutral']);
    expect(describeModel(checkpoint, 'features').labels).toBeUndefined();
    checkpoint.close();
  });

  test('are not needed: the classifier has as many rows as it has', async () => {
    const checkpoint = changed(await openCheckpoint('hf-seqcls'), {}, { id2label: undefined });
    expect(signature(checkpoint).at(-1)).toBe('logits: f32[batch, 3]');
    checkpoint.close();
  });

  test.each([
    [
      new Map([
        ['0', 'a'],
        ['1', 'b'],
      ]),
      'classifier.weight: has shape [3, 64], the config implies [2, 64]',
    ],
    [new Map([['first', 'a']]), 'id2label: has a key that is no number'],
    [['a', 'b', 'c'], 'id2label: must be an object of names, got an array'],
  ])('that do not fit are refused: %o', async (labels, problem) => {
    const checkpoint = changed(await openCheckpoint('hf-seqcls'), {}, { id2label: labels });
    expect(() => buildModel(checkpoint, DYNAMIC)).toThrow(problem);
    checkpoint.close();
  });
});

describe('the family', () => {
  test('is told by the names of the weights where the config does not say', async () => {
    const checkpoint = changed(await openCheckpoint('hf-qa'), {}, { model_type: undefined });
    expect(describeModel(checkpoint).architecture.modelType).toBe('mobilebert');
    checkpoint.close();
  });

  test('is asked for where neither says', async () => {
    const checkpoint = changed(await openCheckpoint('hf-features'), {}, { model_type: undefined });
    expect(() => describeModel(checkpoint)).toThrow(
      expect.objectContaining({
        message: 'fixtures/hf-features/config.json: model_type: is absent',
        hint: expect.stringMatching(/^supported: mobilebert, bert, distilbert, roberta, /),
      }),
    );
    checkpoint.close();
  });
});

test.each([
  ['eurobert', true],
  ['convbert', false],
])('%s is refused by name; that its ONNX file may convert is said: %s', async (type, mayConvert) => {
  const checkpoint = changed(await openCheckpoint('hf-qa'), {}, { model_type: type });
  const hint = expect.stringMatching(mayConvert ? /; the ONNX file of another encoder may convert/ : /roformer$/);
  expect(() => describeModel(checkpoint)).toThrow(
    expect.objectContaining({ message: expect.stringContaining(`model_type: "${type}" is not supported`), hint }),
  );
  checkpoint.close();
});

describe('a decoder', () => {
  test('shares the node of the word embeddings where it is tied', async () => {
    const checkpoint = await openCheckpoint('hf-mlm-tied');
    const { graph } = buildModel(checkpoint, DYNAMIC);
    const words = graph.nodes().filter(({ name }) => name === 'mobilebert.embeddings.word_embeddings.weight');
    expect(words.map(({ users }) => [...users].map(({ op }) => op))).toEqual([['gather', 'concat']]);
    checkpoint.close();
  });

  test('is missed where the config unties it', async () => {
    const checkpoint = changed(await openCheckpoint('hf-mlm-tied'), {}, { tie_word_embeddings: false });
    expect(() => buildModel(checkpoint, DYNAMIC)).toThrow('cls.predictions.decoder.weight: the weight is missing');
    checkpoint.close();
  });
});
