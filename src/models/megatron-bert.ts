import type { Node } from '../ir/graph.ts';
import { type Architecture, BERT_TASKS } from './architecture.ts';
import { attention, type BertSettings, bertModel, feedForward, readSettings, sumEmbeddings } from './bert.ts';
import { add, type Builder, layerNorm } from './builder.ts';

/**
 * Megatron-LM's BERT (Shoeybi et al. 2019, https://arxiv.org/abs/1909.08053): norms in front, none on the embeddings.
 */
export const megatronBert: Architecture = {
  modelType: 'megatron-bert',
  module: 'bert',
  takesTokenTypes: true,
  tasks: BERT_TASKS,
  predictions: 'cls.predictions',
  read(config) {
    const settings = readSettings(config, {
      vocabulary: 29056,
      hidden: 1024,
      intermediate: 4096,
      layers: 24,
      tokenTypes: 2,
      heads: 16,
      activation: 'gelu',
    });
    return bertModel(settings, (builder, scope) => encode(builder, settings, scope));
  },
};

function encode(builder: Builder, settings: BertSettings, scope: string): Node {
  let x: Node = sumEmbeddings(builder, settings, `${scope}embeddings`);
  for (let n = 0; n < settings.layers.value; n++) x = layer(builder, settings, `${scope}encoder.layer.${n}`, x);
  return layerNorm(builder, `${scope}encoder.ln`, x, settings.epsilon);
}

function layer(builder: Builder, settings: BertSettings, name: string, x: Node): Node {
  const { epsilon } = settings;
  const normed = layerNorm(builder, `${name}.attention.ln`, x, epsilon);
  const mixed = attention(builder, settings, `${name}.attention`, normed);
  const y = add(builder, `${name}.attention.output.residual`, 'add', [x, mixed]);
  const narrow = feedForward(builder, settings, name, layerNorm(builder, `${name}.ln`, y, epsilon));
  return add(builder, `${name}.output.residual`, 'add', [y, narrow]);
}
