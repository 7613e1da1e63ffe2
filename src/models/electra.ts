import type { Node } from '../ir/graph.ts';
import { ACTIVATIONS, type Activation, activate } from './activations.ts';
import { type Architecture, COMMON_TASKS, type HeadInput, type Task } from './architecture.ts';
import { type BertSettings, bertModel, embeddings, layers, readSettings, sizeClaims, wordSettings } from './bert.ts';
import { add, type Builder, firstToken, linear, widthOf } from './builder.ts';
import type { ClaimedSize, ConfigReader } from './config.ts';
import { predictWords } from './decoder.ts';
import { denseClassifier } from './heads.ts';

/**
 * ELECTRA (Clark et al. 2020, https://arxiv.org/abs/2003.10555), discriminator and generator: BERT with narrow
 * embeddings and no pooler.
 */
export const electra: Architecture = {
  modelType: 'electra',
  module: 'electra',
  takesTokenTypes: true,
  tasks: [...COMMON_TASKS, 'replaced-tokens'],
  predictions: 'generator_lm_head',
  classTasks: new Map([['PreTraining', 'replaced-tokens']]),
  headWeights: new Map<string, Task>([
    ['discriminator_predictions.dense_prediction.weight', 'replaced-tokens'],
    ['classifier.out_proj.weight', 'sequence-classification'],
  ]),
  read(config, _origin, task) {
    const settings = readSettings(config, {
      vocabulary: 30522,
      hidden: 256,
      intermediate: 1024,
      layers: 12,
      tokenTypes: 2,
      heads: 4,
      activation: 'gelu',
    });
    const embedding = config.size('embedding_size', 128);
    const summary = task === 'multiple-choice' ? readSummary(config) : undefined;
    return {
      ...bertModel(settings, (builder, scope) => encode(builder, settings, embedding, scope)),
      sizes: (scope) => sizeClaims(settings, scope, embedding),
      pool: (builder, _scope, hidden) => summarize(builder, summary, hidden),
      pooler: undefined,
      predict: (builder, scope, hidden) => predict(builder, settings, embedding, scope, hidden),
      heads: {
        'sequence-classification': denseClassifier('gelu'),
        'replaced-tokens': (input) => replacedTokens(input, settings.activation),
      },
    };
  },
};

function encode(builder: Builder, settings: BertSettings, embedding: ClaimedSize, scope: string): Node {
  const { hidden } = settings;
  const narrow = embeddings(builder, { ...settings, hidden: embedding }, `${scope}embeddings`);
  const x =
    embedding.value === hidden.value ? narrow : linear(builder, `${scope}embeddings_project`, narrow, hidden.value);
  return layers(builder, settings, scope, x);
}

/** Summary of a sequence that multiple choice reads. */
interface Summary {
  readonly hasProjection: boolean;
  readonly activation: Activation | undefined;
}

const NO_ACTIVATION = '';
const SUMMARY_ACTIVATIONS: ReadonlyMap<string, Activation | 'none'> = new Map([
  ...ACTIVATIONS,
  [NO_ACTIVATION, 'none'],
]);

function readSummary(config: ConfigReader): Summary {
  config.demand('summary_type', 'first', 'only the first token is read');
  config.demand('summary_proj_to_labels', false, 'the classifier would read another size');
  // transformers 4 writes null for none, and gelu for what is not said.
  const fallback = config.has('summary_activation') ? NO_ACTIVATION : 'gelu';
  const activation = config.choice('summary_activation', SUMMARY_ACTIVATIONS, fallback);
  return {
    hasProjection: config.flag('summary_use_proj', true),
    activation: activation === 'none' ? undefined : activation,
  };
}

/** Adds activation(summary(first token)); without a summary, the token as it is. */
function summarize(builder: Builder, summary: Summary | undefined, hidden: Node): Node {
  const name = 'sequence_summary';
  const first = firstToken(builder, `${name}.first_token`, hidden);
  if (summary === undefined) return first;
  const read = summary.hasProjection ? linear(builder, `${name}.summary`, first, widthOf(first)) : first;
  return summary.activation === undefined ? read : activate(builder, name, read, summary.activation);
}

/** Adds logits [batch, sequence]: above 0 where the generator put another token. */
function replacedTokens({ builder, hidden }: HeadInput, activation: Activation): void {
  const name = 'discriminator_predictions';
  const dense = linear(builder, `${name}.dense`, hidden, widthOf(hidden));
  const scores = linear(builder, `${name}.dense_prediction`, activate(builder, name, dense, activation), 1);
  const logits = add(builder, 'logits', 'reshape', [scores], { shape: [builder.rows, builder.sequence] });
  builder.graph.output('logits', logits);
}

/** Adds the scores of words. The activation of this head is GELU whatever the config says. */
function predict(builder: Builder, settings: BertSettings, embedding: ClaimedSize, scope: string, hidden: Node): Node {
  return predictWords(builder, scope, hidden, {
    ...wordSettings(settings),
    name: 'generator_lm_head',
    transform: 'generator_predictions',
    norm: 'LayerNorm',
    decoder: 'generator_lm_head',
    width: embedding.value,
    activation: 'gelu',
  });
}
