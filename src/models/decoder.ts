import type { Node } from '../ir/graph.ts';
import { type Activation, activate } from './activations.ts';
import { add, type Builder, layerNorm, linear, weight, widthOf } from './builder.ts';

/** Where a masked-LM head has its weights, and what it computes between them. */
export interface WordHead {
  /** The module with the bias. */
  readonly name: string;
  /** The module with the dense layer, its activation and its norm. */
  readonly transform: string;
  readonly norm: string;
  readonly decoder: string;
  readonly vocabulary: number;
  /** The size of what the decoder reads. */
  readonly width: number;
  readonly activation: Activation;
  readonly epsilon: number;
  /** Whether the decoder's matrix is that of the word embeddings. */
  readonly isTied: boolean;
}

/** decoder(norm(activation(dense(hidden)))): scores of all words for every token. */
export function predictWords(builder: Builder, scope: string, hidden: Node, head: WordHead): Node {
  const { name, transform, vocabulary, isTied } = head;
  const dense = linear(builder, `${transform}.dense`, hidden, head.width);
  const active = activate(builder, transform, dense, head.activation);
  const x = layerNorm(builder, `${transform}.${head.norm}`, active, head.epsilon);
  const matrix = decoderWeight(builder, head.decoder, { isTied, scope }, [vocabulary, widthOf(x)]);
  return add(builder, name, 'linear', [x, matrix, decoderBias(builder, name, vocabulary)]);
}

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
