import type { Node } from '../ir/graph.ts';
import type { Architecture } from './architecture.ts';
import { attention, BERT_BASE, feedForward } from './bert.ts';
import { add, type Builder, layerNorm } from './builder.ts';
import {
  ROBERTA_HEADS,
  type RobertaSettings,
  readRobertaSettings,
  robertaEmbeddings,
  robertaModel,
} from './roberta.ts';

/**
 * RoBERTa with its norms in front of what they were behind, and one at the end, as fairseq's
 * --encoder-normalize-before.
 */
export const robertaPreLayerNorm: Architecture = {
  ...ROBERTA_HEADS,
  modelType: 'roberta-prelayernorm',
  module: 'roberta_prelayernorm',
  read(config) {
    const settings = readRobertaSettings(config, { ...BERT_BASE, vocabulary: 50265 });
    return robertaModel(settings, (builder, scope) => encode(builder, settings, scope));
  },
};

function encode(builder: Builder, settings: RobertaSettings, scope: string): Node {
  let x: Node = robertaEmbeddings(builder, settings, `${scope}embeddings`);
  for (let n = 0; n < settings.layers.value; n++) x = layer(builder, settings, `${scope}encoder.layer.${n}`, x);
  return layerNorm(builder, `${scope}LayerNorm`, x, settings.epsilon);
}

function layer(builder: Builder, settings: RobertaSettings, name: string, x: Node): Node {
  const { epsilon } = settings;
  const normed = layerNorm(builder, `${name}.attention.LayerNorm`, x, epsilon);
  const mixed = attention(builder, settings, `${name}.attention`, normed);
  const y = add(builder, `${name}.attention.output.residual`, 'add', [mixed, x]);
  const wide = feedForward(builder, settings, name, layerNorm(builder, `${name}.intermediate.LayerNorm`, y, epsilon));
  return add(builder, `${name}.output.residual`, 'add', [wide, y]);
}
