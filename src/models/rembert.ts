import type { Node } from '../ir/graph.ts';
import { type Architecture, COMMON_TASKS } from './architecture.ts';
import { type BertSettings, bertModel, embeddings, layers, readSettings, sizeClaims, wordSettings } from './bert.ts';
import { type Builder, linear } from './builder.ts';
import type { ClaimedSize } from './config.ts';
import { predictWords } from './decoder.ts';

/**
 * RemBERT (Chung et al. 2020, https://arxiv.org/abs/2010.12821): BERT with narrow embeddings and a decoder of its own
 * width.
 */
export const rembert: Architecture = {
  modelType: 'rembert',
  module: 'rembert',
  takesTokenTypes: true,
  tasks: COMMON_TASKS,
  predictions: 'cls.predictions',
  read(config) {
    const settings = readSettings(config, {
      vocabulary: 250300,
      hidden: 1152,
      intermediate: 4608,
      layers: 32,
      tokenTypes: 2,
      heads: 18,
      activation: 'gelu',
    });
    const embedding = config.size('input_embedding_size', 256);
    const output = config.size('output_embedding_size', 1664);
    return {
      ...bertModel(settings, (builder, scope) => encode(builder, settings, embedding, scope)),
      sizes: (scope) => [
        ...sizeClaims(settings, scope, embedding),
        { size: output, weight: 'cls.predictions.dense.bias', axis: 0 },
      ],
      predict: (builder, scope, hidden) => predict(builder, { ...settings, output }, scope, hidden),
    };
  },
};

function encode(builder: Builder, settings: BertSettings, embedding: ClaimedSize, scope: string): Node {
  const narrow = embeddings(builder, { ...settings, hidden: embedding }, `${scope}embeddings`);
  const wide = linear(builder, `${scope}encoder.embedding_hidden_mapping_in`, narrow, settings.hidden.value);
  return layers(builder, settings, scope, wide);
}

/** Adds the scores of words. The decoder is wider than the word embeddings, so it has a matrix of its own. */
function predict(
  builder: Builder,
  settings: BertSettings & { readonly output: ClaimedSize },
  scope: string,
  hidden: Node,
): Node {
  return predictWords(builder, scope, hidden, {
    ...wordSettings(settings),
    name: 'cls.predictions',
    transform: 'cls.predictions',
    norm: 'LayerNorm',
    decoder: 'cls.predictions.decoder',
    width: settings.output.value,
    isTied: false,
  });
}
