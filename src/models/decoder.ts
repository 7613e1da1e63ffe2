import type { Node } from '../ir/graph.ts';
import { type Builder, weight } from './builder.ts';

/**
 * The matrix [vocabulary, embedding] of the decoder `name`: its own where the file has one or the config unties it, else
 * the word embeddings.
 */
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

/** transformers 5 adds decoder.bias where a file has both; earlier versions store one vector under both names. */
export function decoderBias(builder: Builder, name: string, words: number): Node {
  const own = `${name}.decoder.bias`;
  if (!builder.weights.has(own)) return weight(builder, `${name}.bias`, [words]);
  builder.weights.skip(`${name}.bias`);
  return weight(builder, own, [words]);
}
