import type { Node } from '../ir/graph.ts';
import { type Activation, activate, type Builder, layerNorm, linear, weight, widthOf } from './builder.ts';

/** Transforms hidden states for the decoder `name`: LayerNorm(activation(dense(x))). */
export function transformHidden(
  builder: Builder,
  name: string,
  hidden: Node,
  { activation, epsilon }: { readonly activation: Activation; readonly epsilon: number },
): Node {
  const dense = linear(builder, `${name}.transform.dense`, hidden, widthOf(hidden));
  const activated = activate(builder, `${name}.transform`, dense, activation);
  return layerNorm(builder, `${name}.transform.LayerNorm`, activated, epsilon);
}

/** Matrix [vocabulary, embedding] of the decoder `name`, or the word embeddings where it is tied and has none. */
export function decoderWeight(
  builder: Builder,
  name: string,
  { isTied, scope }: { readonly isTied: boolean; readonly scope: string },
  shape: readonly number[],
): Node {
  const own = `${name}.weight`;
  const usesOwn = !isTied || builder.weights.has(own);
  return weight(builder, usesOwn ? own : `${scope}embeddings.word_embeddings.weight`, shape);
}

/** Bias of the decoder. transformers 5 prefers decoder.bias; earlier versions store one vector under both names. */
export function decoderBias(builder: Builder, name: string, words: number): Node {
  const own = `${name}.decoder.bias`;
  if (!builder.weights.has(own)) return weight(builder, `${name}.bias`, [words]);
  builder.weights.skip(`${name}.bias`);
  return weight(builder, own, [words]);
}
