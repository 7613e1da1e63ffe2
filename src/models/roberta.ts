import type { Node } from '../ir/graph.ts';
import { type Architecture, COMMON_TASKS, type Model } from './architecture.ts';
import {
  BERT_BASE,
  type BertDefaults,
  type BertSettings,
  bertModel,
  layers,
  readSettings,
  wordSettings,
} from './bert.ts';
import { add, type Builder, embed, firstRow, layerNorm, widthOf } from './builder.ts';
import type { ConfigReader } from './config.ts';
import { embedCountedPositions, positionsLeft } from './counted-positions.ts';
import { predictWords } from './decoder.ts';
import { denseClassifier } from './heads.ts';

/** Facts of the family that depend on no config. */
export const ROBERTA_HEADS = {
  takesTokenTypes: false,
  tasks: COMMON_TASKS,
  predictions: 'lm_head',
  headWeights: new Map([['classifier.out_proj.weight', 'sequence-classification']]),
} as const satisfies Partial<Architecture>;

/**
 * RoBERTa (Liu et al. 2019, https://arxiv.org/abs/1907.11692) as transformers computes it, and the models that are its
 * code under other names; DistilRoBERTa is one with fewer layers. All tokens are of type 0, as their tokenizers have no
 * others to give.
 */
export const roberta = robertaArchitecture('roberta', 'roberta', { ...BERT_BASE, vocabulary: 50265 });
export const xlmRoberta = robertaArchitecture('xlm-roberta', 'roberta', BERT_BASE);
export const camembert = robertaArchitecture('camembert', 'roberta', BERT_BASE);
export const data2vecText = robertaArchitecture('data2vec-text', 'data2vec_text', BERT_BASE);

function robertaArchitecture(modelType: string, module: string, defaults: BertDefaults): Architecture {
  return {
    ...ROBERTA_HEADS,
    modelType,
    module,
    read(config) {
      const settings = readRobertaSettings(config, defaults);
      return robertaModel(settings, (builder, scope) => {
        const embedded = robertaEmbeddings(builder, settings, `${scope}embeddings`);
        return layers(builder, settings, scope, embedded);
      });
    },
  };
}

export interface RobertaSettings extends BertSettings {
  /** Id of padding. */
  readonly padding: number;
}

export function readRobertaSettings(config: ConfigReader, defaults: BertDefaults): RobertaSettings {
  const settings = { ...readSettings(config, defaults), padding: config.index('pad_token_id', 1) };
  checkPositions(config, settings);
  return settings;
}

/** Refuses a config that leaves no position to any token. */
export function checkPositions(config: ConfigReader, { positions, padding }: RobertaSettings): void {
  if (positionsLeft({ count: positions.value, padding }) > 0) return;
  config.refuse('pad_token_id', `${padding} leaves no token a position of max_position_embeddings ${positions.value}`);
}

/** Makes a model that has RoBERTa's heads on what `encode` computes. */
export function robertaModel(settings: RobertaSettings, encode: Model['encode']): Model {
  return {
    ...bertModel(settings, encode),
    maxPositions: positionsLeft({ count: settings.positions.value, padding: settings.padding }),
    predict: (builder, scope, hidden) => predict(builder, settings, scope, hidden),
    heads: { 'sequence-classification': denseClassifier('tanh') },
  };
}

export function robertaEmbeddings(builder: Builder, settings: RobertaSettings, name: string): Node {
  const { vocabulary, tokenTypes } = settings;
  const width = settings.hidden.value;
  const words = embed(builder, `${name}.word_embeddings`, builder.tokenIds, vocabulary.value, width);
  const types = `${name}.token_type_embeddings`;
  const type = firstRow(builder, types, tokenTypes.value, width);
  if (tokenTypes.value > 1)
    builder.warn(
      `${types}: has ${tokenTypes.value} types, and every token is of the first, as RoBERTa's tokenizers tell none: a model that was given types for the second text answers pairs otherwise`,
    );
  return normedWithPlaces(builder, settings, name, words, type);
}

/** Adds LayerNorm of words and their counted positions under `name.LayerNorm`. */
export function normedWithPlaces(
  builder: Builder,
  { positions, padding, epsilon }: RobertaSettings,
  name: string,
  words: Node,
  everywhere?: Node,
): Node {
  const table = { count: positions.value, width: widthOf(words), padding };
  const places = embedCountedPositions(builder, `${name}.position_embeddings`, table, everywhere);
  return layerNorm(
    builder,
    `${name}.LayerNorm`,
    add(builder, `${name}.add_positions`, 'add', [words, places]),
    epsilon,
  );
}

/** Adds the scores of words. The activation of this head is GELU whatever the config says. */
function predict(builder: Builder, settings: RobertaSettings, scope: string, hidden: Node): Node {
  return predictWords(builder, scope, hidden, {
    ...wordSettings(settings),
    name: 'lm_head',
    transform: 'lm_head',
    norm: 'layer_norm',
    decoder: 'lm_head.decoder',
    width: widthOf(hidden),
    activation: 'gelu',
  });
}
