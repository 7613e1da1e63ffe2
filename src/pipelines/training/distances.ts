import { GradientBuilder } from '../../gradient/builder.ts';
import type { Graph, Input, Node } from '../../ir/graph.ts';
import { invalid } from '../../ir/op.ts';
import { product, type Shape, sameShape } from '../../ir/shape.ts';
import type { OutputKind } from '../evaluate/logits-kl.ts';

/** The nodes that hold the same value in teacher and student. */
export interface Pair {
  readonly teacher: Node;
  readonly student: Node;
}

/**
 * Weight of the squared error of answers beside their divergence, which hardly tells sure answers from very sure ones.
 */
const SQUARED_ERROR = 0.1;

/**
 * The distance between teacher and student, held as its gradients by the student's values, which `addGradients` starts
 * from.
 */
export class Distances {
  /** The gradient by each of the student's nodes. */
  readonly seeds = new Map<Node, Node>();
  /** Scalar inputs that take the size of an axis, by its symbol. */
  readonly sizes = new Map<string, Input>();
  readonly #build: GradientBuilder;
  readonly #batch: Shape;
  /** Mask [batch, sequence]: 1 for a token, 0 for padding. */
  readonly #mask: Node;
  /** Number of tokens without padding, as [1]. */
  readonly #valid: Node;
  /** What the features of each token count, [batch, sequence]; undefined where they all count the same. */
  #weights: Node | undefined;

  /** Starts with no distance. `tokens` are the graph's inputs, `attention_mask` among them. */
  constructor(graph: Graph, tokens: readonly Input[]) {
    this.#build = new GradientBuilder(graph, (axes) => this.count(axes));
    const mask = tokens.find(({ name }) => name === 'attention_mask');
    if (mask === undefined) invalid(`${graph.name} has no input attention_mask`);
    this.#batch = mask.type.shape;
    this.#mask = graph.add('cast', [mask], { to: 'f32' });
    this.#valid = this.#sum(this.#mask);
  }

  /** The number of elements of these axes, as a scalar f32. */
  readonly count = (axes: Shape): Node => {
    let total: Node | undefined;
    for (const part of String(product(axes)).split('*')) {
      const factor = /^\d+$/.test(part) ? this.#build.scalar(Number(part)) : this.#sizeOf(part);
      total = total ? this.#build.times(total, factor) : factor;
    }
    return total as Node;
  };

  /**
   * Lets the features that are added from here on count twice, once as a mean over all tokens and once as a mean over the
   * first ones: a classifier's answers are made of nothing else in the end.
   */
  weighFirst(): void {
    const build = this.#build;
    const ones = build.plus(build.times(this.#mask, 0), 1);
    const isFirst = build.minus(ones, build.add('shift', [ones], { axis: 1, offset: -1 }));
    const tokensEach = build.add('div', [this.#valid, this.count(this.#batch.slice(0, 1))]);
    this.#weights = build.plus(this.#mask, build.times(isFirst, tokensEach));
  }

  /**
   * Adds weight · Σ (s - t)² / Σ t² over tokens without padding; over sequences, where values belong to a whole one.
   */
  addFeatures({ teacher, student }: Pair, weight: number): void {
    const build = this.#build;
    const { shape } = student.type;
    const isOfSequence = product(shape.slice(0, -1)) === this.#batch[0];
    const mask = isOfSequence ? build.scalar(1) : this.#maskFor(shape);
    const weights = isOfSequence || !this.#weights ? mask : this.#forTokens(this.#weights, shape);
    const difference = build.times(build.minus(student, teacher), weights);
    const masked = build.times(teacher, mask);
    const power = this.#sum(build.times(masked, masked));
    build.accumulate(this.seeds, student, build.add('div', [build.times(difference, 2 * weight), power]));
  }

  /**
   * Adds weight · KL(t ‖ s) of attention [batch, heads, sequence, sequence], a mean over heads and tokens without
   * padding, or of that of each sequence's first token, [batch, heads, 1, sequence]. Attention in any other shape is left
   * out.
   */
  addAttention({ teacher, student }: Pair, weight: number): void {
    const scores = student.inputs[0] as Node;
    const [batch, heads, queries, sequence] = student.type.shape;
    const isByHead = student.type.shape.length === 4 && typeof heads === 'number';
    if (student.op !== 'softmax' || !isByHead || !sameShape([batch, sequence] as Shape, this.#batch)) return;
    const isFirst = queries === 1;
    if (!isFirst && queries !== sequence) return;
    const build = this.#build;
    const mask = isFirst ? build.scalar(1) : build.reshape(this.#mask, [batch, 1, sequence, 1] as Shape);
    const difference = build.times(build.times(build.minus(student, teacher), mask), weight / heads);
    const tokens = isFirst ? this.count([batch] as Shape) : this.#valid;
    build.accumulate(this.seeds, scores, build.add('div', [difference, tokens]));
  }

  /**
   * Adds KL(t ‖ s) of the answers' softmax and a part of their squared error, a mean over distributions. Labels that
   * apply each for itself have their sigmoids' KL instead, summed over labels.
   */
  addAnswers({ teacher, student }: Pair, kind: OutputKind): void {
    const build = this.#build;
    const { shape } = student.type;
    const distributions = kind === 'token-choices' ? this.#valid : this.count(shape.slice(0, 1));
    // d KL / d s is the difference of the probabilities for the one as for the other.
    const probability = (node: Node) =>
      kind === 'labels' ? build.add('sigmoid', [node]) : build.add('softmax', [node], { axis: -1 });
    const width = kind === 'span' ? build.add('div', [this.#valid, distributions]) : this.count(shape.slice(-1));
    const squared = build.add('div', [build.times(build.minus(student, teacher), 2 * SQUARED_ERROR), width]);
    const both = build.plus(build.minus(probability(student), probability(teacher)), squared);
    const isOfSequence = kind === 'choice' || kind === 'labels';
    const masked = isOfSequence ? both : build.times(both, kind === 'span' ? this.#mask : this.#maskFor(shape));
    build.accumulate(this.seeds, student, build.add('div', [masked, distributions]));
  }

  /**
   * Adds the cross-entropy of a classifier's answers against labels, a mean over sequences. `labels` [batch, classes] is 1
   * at the class of a sequence; a row of zeros is a sequence without a label, which adds nothing.
   */
  addLabels(student: Node, labels: Node): void {
    const build = this.#build;
    const isLabelled = build.times(build.mean(labels), build.count(labels.type.shape.slice(-1)));
    const gradient = build.minus(build.times(build.add('softmax', [student]), isLabelled), labels);
    build.accumulate(this.seeds, student, build.add('div', [gradient, this.count(labels.type.shape.slice(0, 1))]));
  }

  #sizeOf(symbol: string): Node {
    const known = this.sizes.get(symbol);
    if (known) return known;
    const input = this.#build.graph.input(`size.${symbol}`, { dtype: 'f32', shape: [] });
    this.sizes.set(symbol, input);
    return input;
  }

  /** The sum of all elements, as [1]. */
  #sum(x: Node): Node {
    const flat = this.#build.reshape(x, [1, product(x.type.shape)]);
    const mean = this.#build.add('mean', [flat], { axis: -1, keepDims: false });
    return this.#build.times(mean, this.count(x.type.shape));
  }

  /**
   * The mask in a shape that broadcasts to values of tokens, [batch, sequence, channels] or [batch*sequence, channels].
   */
  #maskFor(shape: Shape): Node {
    return this.#forTokens(this.#mask, shape);
  }

  #forTokens(perToken: Node, shape: Shape): Node {
    return this.#build.reshape(perToken, [...shape.slice(0, -1), 1]);
  }
}
