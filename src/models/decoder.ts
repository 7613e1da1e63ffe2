import type { Node } from '../ir/graph.ts';
import { type Activation, activate } from './activations.ts';
import { add, type Builder, layerNorm, linear, weight } from './builder.ts';

/** What is computed of hidden states in front of a decoder. */
interface Transform {
  /** Name of the norm in its module. */
  readonly norm: string;
  /** Width of what the decoder reads. */
  readonly width: number;
  readonly activation: Activation;
  readonly epsilon: number;
}

/** Modules of a masked-LM head, and what it computes in them. */
interface WordHead extends Transform {
  /** Module with the bias. */
  readonly name: string;
  /** Module with the dense layer, its activation and its norm. */
  readonly transform: string;
  readonly decoder: string;
  readonly vocabulary: number;
  /** Whether the decoder's matrix is that of the word embeddings. */
  readonly isTied: boolean;
}

/** Adds the scores of all words for every token: decoder(norm(activation(dense(hidden)))). */
export function predictWords(builder: Builder, scope: string, hidden: Node, head: WordHead): Node {
  const { name, vocabulary, isTied, width } = head;
  const x = transformHidden(builder, head.transform, hidden, head);
  const matrix = decoderWeight(builder, head.decoder, { isTied, scope }, [vocabulary, width]);
  return add(builder, name, 'linear', [x, matrix, decoderBias(builder, name, vocabulary)]);
}

/** Transforms hidden states for a decoder with the module `name`: norm(activation(dense(x))). */
export function transformHidden(builder: Builder, name: string, hidden: Node, transform: Transform): Node {
  const { norm, width, activation, epsilon } = transform;
  const activated = activate(builder, name, linear(builder, `${name}.dense`, hidden, width), activation);
  return layerNorm(builder, `${name}.${norm}`, activated, epsilon);
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
