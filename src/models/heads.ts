import type { ModuleChain } from '../formats/checkpoint.ts';
import type { Node } from '../ir/graph.ts';
import type { Dim } from '../ir/shape.ts';
import type { Architecture, Model } from './architecture.ts';
import { add, type Builder, linear } from './builder.ts';
import { addModules, chainKind } from './modules.ts';
import { activateByTorch } from './torch-activations.ts';
import type { Weights } from './weights.ts';

/** A model's task, which is the head that sits on the encoder. */
export type Task =
  | 'qa'
  | 'sequence-classification'
  | 'token-classification'
  | 'masked-lm'
  | 'next-sentence'
  | 'multiple-choice'
  | 'pretraining'
  | 'sentence-embedding'
  | 'features';

/** Parts that a head is built from. */
interface HeadInput {
  readonly builder: Builder;
  readonly architecture: Architecture;
  readonly model: Model;
  readonly scope: string;
  /** The last hidden state, [rows, sequence, hidden]. */
  readonly hidden: Node;
  /** Number of classes that config.json names, if it does. */
  readonly labelCount: number | undefined;
  /** Batch of the inputs: rows = batch · choices where a task has choices. */
  readonly batch: Dim;
  readonly choices: Dim;
  /** Modules that sentence-transformers runs behind the encoder. */
  readonly chain: ModuleChain | undefined;
  /** Torch's class of the activation that makes scores of logits, where a model has one. */
  readonly scoreActivation: string | undefined;
  readonly warn: (problem: string) => void;
}

interface Head {
  /** Part of the names of transformers' classes behind `For`; `Model` is the bare encoder. */
  readonly className: string;
  /** Adds the head and the graph's outputs, under transformers' names. */
  build(input: HeadInput): void;
}

export const heads: { readonly [T in Task]: Head } = {
  qa: { className: 'QuestionAnswering', build: questionAnswering },
  'sequence-classification': { className: 'SequenceClassification', build: sequenceClassification },
  'token-classification': { className: 'TokenClassification', build: tokenClassification },
  'masked-lm': { className: 'MaskedLM', build: maskedLm },
  'next-sentence': { className: 'NextSentencePrediction', build: nextSentence },
  'multiple-choice': { className: 'MultipleChoice', build: multipleChoice },
  pretraining: { className: 'PreTraining', build: pretraining },
  'sentence-embedding': { className: 'SentenceTransformer', build: modules },
  features: { className: 'Model', build: features },
};

export const TASKS = Object.keys(heads) as readonly Task[];

/** Task of a transformers class, e.g. `MobileBertForQuestionAnswering`. */
export function taskOfClass(name: string): Task | undefined {
  const head = /For(\w+)$/.exec(name)?.[1] ?? /Model$/.exec(name)?.[0];
  return TASKS.find((task) => heads[task].className === head);
}

/** Tasks by PEFT's names of them. */
const ADAPTER_TASKS: ReadonlyMap<string | undefined, Task> = new Map([
  ['SEQ_CLS', 'sequence-classification'],
  ['TOKEN_CLS', 'token-classification'],
  ['QUESTION_ANS', 'qa'],
] as const);

/** Task that an adapter was trained for; undefined where it does not say, and for an encoder's features. */
export function taskOfAdapter(type: string | undefined): Task | undefined {
  return ADAPTER_TASKS.get(type);
}

/** Task that the weights alone show; undefined where they fit several. */
export function taskOfWeights(weights: Weights, predictions: string): Task | undefined {
  const predicts = weights.has(`${predictions}.bias`) || weights.has(`${predictions}.decoder.bias`);
  const orders = weights.has('cls.seq_relationship.weight');
  if (weights.has('qa_outputs.weight')) return 'qa';
  if (predicts) return orders ? 'pretraining' : 'masked-lm';
  if (orders) return 'next-sentence';
  return weights.has('classifier.weight') ? undefined : 'features';
}

/** Adds start_logits and end_logits, [batch, sequence] each. */
function questionAnswering({ builder, hidden }: HeadInput): void {
  const logits = linear(builder, 'qa_outputs', hidden, 2);
  ['start_logits', 'end_logits'].forEach((name, i) => {
    const column = add(builder, `${name}.column`, 'slice', [logits], { axis: -1, start: i, end: i + 1 });
    const flat = add(builder, name, 'reshape', [column], { shape: [builder.rows, builder.sequence] });
    builder.graph.output(name, flat);
  });
}

/** Adds logits [batch, labels], of which one makes it a regression, and where a cross-encoder says so the score of them. */
function sequenceClassification(input: HeadInput): void {
  const { builder, model, scope, hidden, scoreActivation } = input;
  const pooled = model.pool(builder, scope, hidden);
  const logits = linear(builder, 'classifier', pooled, countLabels(input));
  builder.graph.output('logits', logits);
  if (scoreActivation === undefined) return;
  builder.graph.output('score', activateByTorch(builder, 'score', logits, scoreActivation));
}

/** Adds logits [batch, sequence, labels]. */
function tokenClassification(input: HeadInput): void {
  const { builder, hidden } = input;
  builder.graph.output('logits', linear(builder, 'classifier', hidden, countLabels(input)));
}

/** Number of classes: without id2label the classifier's own rows; transformers' default is two. */
function countLabels({ builder, labelCount }: HeadInput): number {
  return labelCount ?? builder.weights.shapeOf('classifier.weight')?.[0] ?? 2;
}

/** Adds logits [batch, sequence, vocabulary]. */
function maskedLm({ builder, model, scope, hidden }: HeadInput): void {
  builder.graph.output('logits', model.predict(builder, scope, hidden));
}

/** Adds logits [batch, 2]: the second sentence follows, or does not. */
function nextSentence({ builder, model, scope, hidden }: HeadInput): void {
  const pooled = model.pool(builder, scope, hidden);
  builder.graph.output('logits', linear(builder, 'cls.seq_relationship', pooled, 2));
}

/** Adds logits [batch, choices]. */
function multipleChoice({ builder, model, scope, hidden, batch, choices }: HeadInput): void {
  const scores = linear(builder, 'classifier', model.pool(builder, scope, hidden), 1);
  builder.graph.output('logits', add(builder, 'logits', 'reshape', [scores], { shape: [batch, choices] }));
}

/** Adds prediction_logits [batch, sequence, vocabulary] and seq_relationship_logits [batch, 2]. */
function pretraining({ builder, model, scope, hidden }: HeadInput): void {
  builder.graph.output('prediction_logits', model.predict(builder, scope, hidden));
  const pooled = model.pool(builder, scope, hidden);
  builder.graph.output('seq_relationship_logits', linear(builder, 'cls.seq_relationship', pooled, 2));
}

/**
 * Adds what modules give: sentence_embedding [batch, width] beside last_hidden_state, or token_embeddings [batch, sequence,
 * width].
 */
function modules({ builder, model, scope, hidden, chain, warn }: HeadInput): void {
  if (chain === undefined) throw new Error('a model without modules has no head of them');
  const predict = () => model.predict(builder, scope, hidden);
  addModules(chain, { builder, maxPositions: model.maxPositions, hidden, predict, warn });
}

/**
 * Adds last_hidden_state [batch, sequence, hidden] and, where the model has a pooler, pooler_output [batch, hidden]; or what
 * modules make of each token.
 */
function features(input: HeadInput): void {
  const { builder, model, scope, hidden, chain, warn } = input;
  if (chain !== undefined && chainKind(chain) === 'tokens') {
    modules(input);
    return;
  }
  builder.graph.output('last_hidden_state', hidden);
  if (model.pooler === undefined) return;
  const { weight } = model.pooler;
  if (weight !== undefined && !builder.weights.has(`${scope}${weight}`)) {
    warn(
      `${builder.weights.path}: ${scope}${weight}: the pooler is not in the file: the model has no output pooler_output`,
    );
    return;
  }
  builder.graph.output('pooler_output', model.pool(builder, scope, hidden));
}
