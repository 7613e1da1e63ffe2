import type { Checkpoint } from '../../formats/checkpoint.ts';
import type { JsonObject, JsonValue } from '../../formats/json.ts';
import { type NamedCheckpoint, type NameRow, dense as plainDense, renameTensors } from './table.ts';

/** Ranges that quantization-aware training keeps in a scope, in the order in which its code quantizes. */
function ranged(theirs: string, ours: string, parts: readonly string[]): NameRow[] {
  return parts.flatMap((part, i) =>
    ['min', 'max'].map((end) => ({
      theirs: `${theirs}/MobileBertActFakeQuantWithMinMaxVars${i === 0 ? '' : `_${i}`}/${end}`,
      ours: `${ours}.${part}.${end}`,
    })),
  );
}

/** Rows of a dense layer; in quantization-aware training with the ranges of its input and of its weight. */
function dense(theirs: string, ours: string): NameRow[] {
  return [
    ...plainDense(theirs, ours),
    ...ranged(theirs, ours, ['input_range']),
    ...['min', 'max'].map((end) => ({
      theirs: `${theirs}/MobileBertWeightFakeQuantWithMinMaxVars/${end}`,
      ours: `${ours}.weight_range.${end}`,
    })),
  ];
}

/** Rows of a norm in the scope `norm`; in quantization-aware training with the ranges of all that it computes with. */
function normed(theirs: string, ours: string, norm: string): NameRow[] {
  return [
    { theirs: `${theirs}/${norm}/gamma`, ours: `${ours}.LayerNorm.weight` },
    { theirs: `${theirs}/${norm}/beta`, ours: `${ours}.LayerNorm.bias` },
    ...ranged(theirs, `${ours}.LayerNorm`, ['input_range']),
    ...ranged(`${theirs}/${norm}`, `${ours}.LayerNorm`, ['bias_range', 'weight_range', 'product_range']),
  ];
}

/** Rows of google-research/bert's modeling.py, which google-research's mobilebert/modeling.py extends. */
function bertRows(model: string, norm: string): NameRow[] {
  const layer = 'bert/encoder/layer_*';
  const ours = `${model}.encoder.layer.*`;
  return [
    ...['word', 'position', 'token_type'].map((kind) => ({
      theirs: `bert/embeddings/${kind}_embeddings`,
      ours: `${model}.embeddings.${kind}_embeddings.weight`,
    })),
    ...normed('bert/embeddings', `${model}.embeddings`, norm),
    ...['query', 'key', 'value'].flatMap((part) =>
      dense(`${layer}/attention/self/${part}`, `${ours}.attention.self.${part}`),
    ),
    ...ranged(`${layer}/attention/self`, `${ours}.attention.self`, [
      'products_range',
      'kept_range',
      'masked_range',
      'mixed_range',
    ]),
    ...dense(`${layer}/attention/output/dense`, `${ours}.attention.output.dense`),
    ...normed(`${layer}/attention/output`, `${ours}.attention.output`, norm),
    ...dense(`${layer}/intermediate/dense`, `${ours}.intermediate.dense`),
    ...dense(`${layer}/output/dense`, `${ours}.output.dense`),
    ...normed(`${layer}/output`, `${ours}.output`, norm),
    ...dense('bert/pooler/dense', `${model}.pooler.dense`),
  ];
}

/** Rows of what MobileBERT and the inverted-bottleneck teacher have beyond BERT. */
function mobilebertRows(norm: string): NameRow[] {
  const layer = 'bert/encoder/layer_*';
  const ours = 'mobilebert.encoder.layer.*';
  const within = [
    ['bottleneck/input', 'bottleneck.input'],
    ['bottleneck/attention', 'bottleneck.attention'],
    ['ffn_layer_*/output', 'ffn.*.output'],
    ['output/bottleneck', 'output.bottleneck'],
  ] as const;
  return [
    ...dense('bert/embeddings/embedding_transformation', 'mobilebert.embeddings.embedding_transformation'),
    ...dense(`${layer}/ffn_layer_*/intermediate/dense`, `${ours}.ffn.*.intermediate.dense`),
    ...within.flatMap(([theirs, part]) => [
      ...dense(`${layer}/${theirs}/dense`, `${ours}.${part}.dense`),
      ...normed(`${layer}/${theirs}`, `${ours}.${part}`, norm),
    ]),
  ];
}

/**
 * Rows of run_squad.py, run_classifier.py and run_pretraining.py. Their matrices are [out, in] as ours, but for one.
 */
const HEADS: readonly NameRow[] = [
  { theirs: 'cls/squad/output_weights', ours: 'qa_outputs.weight' },
  { theirs: 'cls/squad/output_bias', ours: 'qa_outputs.bias' },
  { theirs: 'output_weights', ours: 'classifier.weight' },
  { theirs: 'output_bias', ours: 'classifier.bias' },
  { theirs: 'cls/seq_relationship/output_weights', ours: 'cls.seq_relationship.weight' },
  { theirs: 'cls/seq_relationship/output_bias', ours: 'cls.seq_relationship.bias' },
  ...dense('cls/predictions/transform/dense', 'cls.predictions.transform.dense'),
  ...normed('cls/predictions/transform', 'cls.predictions.transform', 'LayerNorm'),
  { theirs: 'cls/predictions/output_bias', ours: 'cls.predictions.bias' },
  // [vocabulary, hidden - embedding] here, [hidden - embedding, vocabulary] in transformers.
  { theirs: 'cls/predictions/extra_output_weights', ours: 'cls.predictions.dense.weight', isTurned: true },
];

/**
 * Puts a checkpoint of google-research's code under our names and completes its config by model_type and architectures.
 */
export function nameGoogle(checkpoint: Checkpoint): NamedCheckpoint {
  const { config, configPath } = checkpoint;
  const names = [...checkpoint.tensors.keys()];
  const notes = [...checkpoint.notes];
  const family = familyOf(config, names);
  if (family.isGuess) notes.push(`${configPath}: ${GUESS}`);
  const norm = names.some((name) => name.includes('/FakeLayerNorm/')) ? 'FakeLayerNorm' : 'LayerNorm';
  const rows = [
    ...bertRows(family.model, norm),
    ...(family.model === 'mobilebert' ? mobilebertRows(norm) : []),
    ...HEADS,
  ];
  const completed = new Map<string, JsonValue>([['model_type', family.model], ...config]);
  // Only run_classifier.py has these at the root; a token classifier's look the same, so it takes --task.
  if (names.includes('output_weights') && !config.has('architectures'))
    completed.set('architectures', ['BertForSequenceClassification']);
  return { ...checkpoint, config: completed, notes, ...renameTensors(checkpoint.tensors, rows) };
}

/** Names that only mobilebert/modeling.py makes. */
const MOBILEBERT_WEIGHT = /\/(FakeLayerNorm|embedding_transformation|bottleneck|ffn_layer_\d+)\//;
const MOBILEBERT_KEYS = [
  'embedding_size',
  'trigram_input',
  'use_bottleneck',
  'intra_bottleneck_size',
  'use_bottleneck_attention',
  'key_query_shared_bottleneck',
  'num_feedforward_networks',
  'normalization_type',
  'classifier_activation',
];

/** Keys that google-research/bert writes into every bert_config.json. */
const TRAINING_KEYS = ['hidden_dropout_prob', 'attention_probs_dropout_prob', 'initializer_range'];

const GUESS =
  'fits BERT and a MobileBERT without bottlenecks, whose masks differ; taken as the latter, because it lacks ' +
  'what every config of BERT has (hidden_dropout_prob); "model_type": "bert" or "mobilebert" in it decides';

/**
 * Tells which code a checkpoint is from. With every option at its default, mobilebert/modeling.py makes the weights of
 * BERT, but masks in another way; then only the config's keys tell.
 */
function familyOf(config: JsonObject, names: readonly string[]): { readonly model: string; readonly isGuess: boolean } {
  const stated = config.get('model_type');
  if (stated === 'bert' || stated === 'mobilebert') return { model: stated, isGuess: false };
  if (names.some((name) => MOBILEBERT_WEIGHT.test(name)) || MOBILEBERT_KEYS.some((key) => config.has(key))) {
    return { model: 'mobilebert', isGuess: false };
  }
  const isGuess = !TRAINING_KEYS.some((key) => config.has(key));
  return { model: isGuess ? 'mobilebert' : 'bert', isGuess };
}
