import { describe, expect, test } from 'vitest';
import type { Checkpoint, Origin } from '../../src/formats/checkpoint.ts';
import type { JsonValue } from '../../src/formats/json.ts';
import { readF32, tensorOf } from '../../src/ir/tensor.ts';
import { underTorchNames } from '../../src/models/names/index.ts';

function checkpoint(
  origin: Origin,
  names: readonly string[],
  config: Readonly<Record<string, JsonValue>> = {},
): Checkpoint {
  return {
    path: 'm',
    origin,
    // 1, 2, 3 over 4, 5, 6, so that a transpose shows.
    tensors: new Map(names.map((name) => [name, tensorOf('f32', [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6))])),
    configPath: 'm/config.json',
    config: new Map(Object.entries(config)),
    tokenizer: {},
    notes: [],
    close() {},
  };
}

/** The name that a weight gets, and whether it is turned. */
function renamed(
  origin: Origin,
  name: string,
  config?: Readonly<Record<string, JsonValue>>,
): [name: string, isTurned: boolean] {
  const [[ours, tensor] = ['', undefined]] = underTorchNames(checkpoint(origin, [name], config)).tensors;
  return [ours, tensor !== undefined && readF32(tensor)[1] === 4];
}

const LAYER = 'bert/encoder/layer_11';
const MODEL_TYPE = { model_type: 'mobilebert' };

describe("google's names", () => {
  test.each<[name: string, ours: string, isTurned: boolean]>([
    ['bert/embeddings/word_embeddings', 'mobilebert.embeddings.word_embeddings.weight', false],
    ['bert/embeddings/embedding_transformation/kernel', 'mobilebert.embeddings.embedding_transformation.weight', true],
    ['bert/embeddings/FakeLayerNorm/beta', 'mobilebert.embeddings.LayerNorm.bias', false],
    [`${LAYER}/attention/self/query/kernel`, 'mobilebert.encoder.layer.11.attention.self.query.weight', true],
    [`${LAYER}/bottleneck/input/dense/bias`, 'mobilebert.encoder.layer.11.bottleneck.input.dense.bias', false],
    [`${LAYER}/ffn_layer_2/output/LayerNorm/gamma`, 'mobilebert.encoder.layer.11.ffn.2.output.LayerNorm.weight', false],
    [`${LAYER}/output/bottleneck/dense/kernel`, 'mobilebert.encoder.layer.11.output.bottleneck.dense.weight', true],
    ['cls/squad/output_weights', 'qa_outputs.weight', false],
    ['cls/predictions/extra_output_weights', 'cls.predictions.dense.weight', true],
    ['output_bias', 'classifier.bias', false],
    [`${LAYER}/attention/self/query/kernal`, `${LAYER}/attention/self/query/kernal`, false],
    ['teacher/bert/pooler/dense/kernel', 'teacher/bert/pooler/dense/kernel', false],
  ])('%s is %s', (name, ours, isTurned) => {
    expect(renamed('google', name, MODEL_TYPE)).toEqual([ours, isTurned]);
  });

  test('are found for weights that are not there', () => {
    const { fileName } = underTorchNames(checkpoint('google', [`${LAYER}/output/FakeLayerNorm/beta`]));
    expect(
      ['encoder.layer.3.ffn.1.output.LayerNorm.weight', 'pooler.dense.weight', 'other'].map((name) =>
        fileName(`mobilebert.${name}`),
      ),
    ).toEqual([
      'bert/encoder/layer_3/ffn_layer_1/output/FakeLayerNorm/gamma',
      'bert/pooler/dense/kernel',
      'mobilebert.other',
    ]);
  });

  test.each<[what: string, names: string[], config: Record<string, JsonValue>, found: string]>([
    ['a weight that only MobileBERT has', [`${LAYER}/bottleneck/input/dense/bias`], {}, 'mobilebert'],
    ['a key that only MobileBERT has', ['bert/pooler/dense/bias'], { trigram_input: false }, 'mobilebert'],
    ['the keys that BERT writes', ['bert/pooler/dense/bias'], { hidden_dropout_prob: 0.1 }, 'bert'],
    ['model_type', [`${LAYER}/bottleneck/input/dense/bias`], { model_type: 'bert' }, 'bert'],
  ])('tell the model by %s', (_, names, config, found) => {
    const named = underTorchNames(checkpoint('google', names, config));
    expect([named.config.get('model_type'), named.notes]).toEqual([found, []]);
  });

  test('tell a classifier by its weights at the root, unless the config says what it is', () => {
    const classOf = (config: Record<string, JsonValue>) =>
      underTorchNames(checkpoint('google', ['output_weights'], config)).config.get('architectures');
    expect(classOf({})).toEqual(['BertForSequenceClassification']);
    expect(classOf({ architectures: ['BertForTokenClassification'] })).toEqual(['BertForTokenClassification']);
  });
});

describe("Keras' names", () => {
  const QA = 'mobilebert/tf_mobile_bert_for_question_answering_1/mobilebert';
  test.each<[name: string, ours: string, isTurned: boolean]>([
    [`${QA}/embeddings/word_embeddings/weight:0`, 'mobilebert.embeddings.word_embeddings.weight', false],
    [`${QA}/embeddings/position_embeddings/embeddings:0`, 'mobilebert.embeddings.position_embeddings.weight', false],
    [
      `${QA}/encoder/layer_._10/ffn.0/output/dense/kernel:0`,
      'mobilebert.encoder.layer.10.ffn.0.output.dense.weight',
      true,
    ],
    [`${QA}/encoder/layer_._0/output/LayerNorm/gamma:0`, 'mobilebert.encoder.layer.0.output.LayerNorm.weight', false],
    [`${QA}/encoder/layer_._0/output/LayerNorm/bias:0`, 'mobilebert.encoder.layer.0.output.LayerNorm.bias', false],
    ['predictions___cls/tf_x/predictions___cls/predictions/dense/weight:0', 'cls.predictions.dense.weight', false],
    ['mlm___cls/tf_x/mlm___cls/predictions/bias:0', 'cls.predictions.bias', false],
    ['classifier/tf_x/classifier/kernel:0', 'classifier.weight', true],
    [
      'distilbert/tf_x/distilbert/transformer/layer_._2/attention/q_lin/kernel:0',
      'distilbert.transformer.layer.2.attention.q_lin.weight',
      true,
    ],
    ['a/b/c/moving_mean:0', 'a/b/c/moving_mean:0', false],
    ['iterations:0', 'iterations:0', false],
  ])('%s is %s', (name, ours, isTurned) => {
    expect(renamed('keras', name)).toEqual([ours, isTurned]);
  });

  test('that become the same name keep the second as it is', () => {
    const { tensors, fileName } = underTorchNames(checkpoint('keras', ['c/x/c/kernel:0', 'c/y/c/kernel:0']));
    expect([...tensors.keys()]).toEqual(['c.weight', 'c/y/c/kernel:0']);
    expect(fileName('c.weight')).toBe('c/x/c/kernel:0');
  });
});

test("torch's names stay as they are", () => {
  expect(renamed('torch', 'bert/pooler/dense/kernel')).toEqual(['bert/pooler/dense/kernel', false]);
});
