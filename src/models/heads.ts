import { MbertError } from '../errors.ts';
import type { Node } from '../ir/graph.ts';
import { type Activation, activate } from './activations.ts';
import type { Architecture, HeadBuilder, HeadInput, Task } from './architecture.ts';
import { add, type Builder, firstToken, linear, widthOf } from './builder.ts';
import { addModules, chainKind } from './modules.ts';
import { activateByTorch } from './torch-activations.ts';
import type { Weights } from './weights.ts';

interface Head {
  /**
   * Part of the names of transformers' classes behind `For`; `Model` is the bare encoder. Absent: families say which.
   */
  readonly className?: string;
  /** Builds the head; absent where only some families have it. */
  readonly build?: HeadBuilder;
}

const heads: { readonly [T in Task]: Head } = {
  qa: { className: 'QuestionAnswering', build: questionAnswering },
  'sequence-classification': { className: 'SequenceClassification', build: sequenceClassification },
  'token-classification': { className: 'TokenClassification', build: tokenClassification },
  'masked-lm': { className: 'MaskedLM', build: maskedLm },
  'next-sentence': { className: 'NextSentencePrediction', build: nextSentence },
  'multiple-choice': { className: 'MultipleChoice', build: multipleChoice },
  pretraining: { className: 'PreTraining', build: pretraining },
  'replaced-tokens': {},
  'sentence-embedding': { className: 'SentenceTransformer', build: modules },
  features: { className: 'Model', build: features },
};

export const TASKS = Object.keys(heads) as readonly Task[];

/** Tasks whose models always read two texts. */
export const PAIR_TASKS: ReadonlySet<Task> = new Set(['qa', 'next-sentence', 'multiple-choice', 'pretraining']);

/**
 * Classes of decoders. Without a decoder's mask, which configs must not ask for, they compute what a masked LM does.
 */
const CLASSES_OF_DECODERS: ReadonlySet<string> = new Set(['CausalLM', 'LMHeadModel']);

/** Task of a transformers class, e.g. `MobileBertForQuestionAnswering`. */
export function taskOfClass(name: string, { classTasks }: Architecture): Task | undefined {
  const head = /.*For(\w+)$/.exec(name)?.[1] ?? /(?:LMHead)?Model$/.exec(name)?.[0];
  if (head === undefined) return undefined;
  if (CLASSES_OF_DECODERS.has(head)) return 'masked-lm';
  return classTasks?.get(head) ?? TASKS.find((task) => heads[task].className === head);
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
export function taskOfWeights(
  weights: Weights,
  { predictions, headWeights = new Map() }: Architecture,
): Task | undefined {
  for (const [weight, task] of headWeights) if (weights.has(weight)) return task;
  const predicts = weights.has(`${predictions}.bias`) || weights.has(`${predictions}.decoder.bias`);
  const orders = weights.has('cls.seq_relationship.weight');
  if (weights.has('qa_outputs.weight')) return 'qa';
  if (predicts) return orders ? 'pretraining' : 'masked-lm';
  if (orders) return 'next-sentence';
  return weights.has('classifier.weight') ? undefined : 'features';
}

/** Adds the outputs of a task as the family computes it. */
export function buildHead(task: Task, input: HeadInput): void {
  const build = input.model.heads?.[task] ?? heads[task].build;
  if (build === undefined) {
    throw new MbertError('USAGE', `--task ${task}: ${input.builder.graph.name} models have no such head`);
  }
  build(input);
  if (task === 'sequence-classification') addScore(input);
}

/** Adds score, which a cross-encoder makes of its logits. */
function addScore({ builder, scoreActivation }: HeadInput): void {
  const logits = builder.graph.outputs.find(({ name }) => name === 'logits')?.node;
  if (scoreActivation === undefined || logits === undefined) return;
  builder.graph.output('score', activateByTorch(builder, 'score', logits, scoreActivation));
}

/** Adds start_logits and end_logits, [batch, sequence] each. */
function questionAnswering({ builder, hidden }: HeadInput): void {
  addSpans(builder, linear(builder, 'qa_outputs', hidden, 2));
}

/** Adds the outputs of a span head from its logits [rows, sequence, 2]. */
export function addSpans(builder: Builder, logits: Node): void {
  ['start_logits', 'end_logits'].forEach((name, i) => {
    const column = add(builder, `${name}.column`, 'slice', [logits], { axis: -1, start: i, end: i + 1 });
    const flat = add(builder, name, 'reshape', [column], { shape: [builder.rows, builder.sequence] });
    builder.graph.output(name, flat);
  });
}

/** Adds logits [batch, labels]; one label makes it a regression. */
function sequenceClassification(input: HeadInput): void {
  const { builder, model, scope, hidden } = input;
  const pooled = model.pool(builder, scope, hidden);
  builder.graph.output('logits', linear(builder, 'classifier', pooled, countLabels(input)));
}

/**
 * Builds a head without a pooler: logits [batch, labels] of classifier.out_proj(activation(classifier.dense(first
 * token))).
 */
export function denseClassifier(activation: Activation): HeadBuilder {
  return (input) => {
    const { builder, hidden } = input;
    const first = firstToken(builder, 'classifier.first_token', hidden);
    const dense = linear(builder, 'classifier.dense', first, widthOf(first));
    const read = activate(builder, 'classifier', dense, activation);
    const labels = countLabels(input, 'classifier.out_proj');
    builder.graph.output('logits', linear(builder, 'classifier.out_proj', read, labels));
  };
}

/** Adds logits [batch, sequence, labels]. */
function tokenClassification(input: HeadInput): void {
  const { builder, hidden } = input;
  builder.graph.output('logits', linear(builder, 'classifier', hidden, countLabels(input)));
}

/** Number of classes: without id2label the classifier's own rows; transformers' default is two. */
export function countLabels({ builder, labelCount }: HeadInput, classifier = 'classifier'): number {
  return labelCount ?? builder.weights.shapeOf(`${classifier}.weight`)?.[0] ?? 2;
}

/** Number of classes by the rows of a classifier, whose last linear some families call out_proj. */
export function classCount(weights: Weights): number | undefined {
  return (weights.shapeOf('classifier.weight') ?? weights.shapeOf('classifier.out_proj.weight'))?.[0];
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
  const { builder, model, scope, hidden, chain } = input;
  if (chain !== undefined && chainKind(chain) === 'tokens') {
    modules(input);
    return;
  }
  builder.graph.output('last_hidden_state', hidden);
  if (model.pooler === undefined) return;
  const { weight } = model.pooler;
  if (weight !== undefined && !builder.weights.has(`${scope}${weight}`)) {
    builder.warn(`${scope}${weight}: the pooler is not in the file: the model has no output pooler_output`);
    return;
  }
  builder.graph.output('pooler_output', model.pool(builder, scope, hidden));
}
