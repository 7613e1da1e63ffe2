import { listNames, MbertError } from '../../errors.ts';
import type { Graph, Output } from '../../ir/graph.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { Writing } from '../../options/writing.ts';
import type { Target } from '../../passes/index.ts';
import { PROBABILITY, probabilityMaker } from '../evaluate/probabilities.ts';

type OutputChoice = Pick<Writing, 'outputs' | 'softmax'>;

/**
 * Outputs that stand alone in a TFLite file where a model has them: MediaPipe's TextEmbedder takes every output for an
 * embedding, and classifiers read one. ONNX files keep what these are made of, which other programs read by name.
 */
const ALONE = ['sentence_embedding', 'score'];

/** Leaves the outputs that a file is to have, in their order. Throws USAGE for one that the model does not have. */
export function arrangeOutputs(
  graph: Graph,
  target: Target,
  model: OpenedModel,
  { outputs, softmax }: OutputChoice,
): void {
  const names = graph.outputs.map(({ name }) => name);
  if (outputs !== undefined) {
    const stranger = outputs.find((name) => !names.includes(name));
    if (stranger !== undefined) {
      throw new MbertError('USAGE', `--outputs: there is no output ${stranger}`, {
        hint: `it has ${listNames(names)}`,
      });
    }
    graph.keepOutputs(outputs);
  } else if (target === 'tflite') {
    const alone = names.find((name) => ALONE.includes(name));
    if (alone !== undefined && names.length > 1) graph.keepOutputs([alone]);
    // Task Library falls back to this order where a file has no names.
    if (model.task === 'qa') graph.orderOutputs(['end_logits', 'start_logits']);
  }
  if (softmax && target === 'tflite') addProbabilities(graph, model);
}

/**
 * Turns logits into probabilities: MediaPipe and Task Library show what the model says. Classes that are independent of
 * each other have one each. Throws USAGE for logits that stand for no probabilities.
 */
export function addProbabilities(graph: Graph, { task, logitsKind }: OpenedModel): void {
  if (task !== undefined && !task.endsWith('-classification')) {
    throw new MbertError('USAGE', `--softmax: is for classification, the task is ${task}`);
  }
  const isIndependent = logitsKind === 'multi-label';
  for (const { name, node } of [...graph.outputs]) {
    if (name === 'score') throw new MbertError('USAGE', '--softmax: the model makes a score of its logits by itself');
    if (isMadeOfLogits({ name, node })) {
      throw new MbertError('USAGE', `--softmax: the model makes probabilities of its logits by itself: ${name}`);
    }
    if (logitsKind === 'regression' || (node.type.shape.at(-1) === 1 && !isIndependent)) {
      throw new MbertError('USAGE', '--softmax: the model is a regression: softmax of one number is always 1', {
        hint: 'its output is the answer as it is',
      });
    }
    const probability = isIndependent
      ? graph.add('sigmoid', [node], {}, PROBABILITY)
      : graph.add('softmax', [node], { axis: -1 }, PROBABILITY);
    graph.replaceOutput(name, PROBABILITY, probability);
  }
}

/** True for a classifier whose TFLite file would show logits where apps expect shares. */
export function showsLogits(model: OpenedModel, { softmax, outputs }: OutputChoice): boolean {
  if (softmax || model.task !== 'sequence-classification') return false;
  if (model.logitsKind === 'regression' || outputs?.includes('score')) return false;
  const [logits, ...others] = model.reference().outputs;
  if (logits === undefined || others.length > 0 || isMadeOfLogits(logits)) return false;
  return logits.node.type.shape.at(-1) !== 1;
}

/** True for an output that is no logits any more: what a file with --softmax gives, or another tool's. */
function isMadeOfLogits({ name, node }: Output): boolean {
  return name === 'score' || probabilityMaker(node) !== undefined;
}

/** Warns of such a classifier. */
export function logitsWarnings(model: OpenedModel, targets: readonly Target[], choice: OutputChoice): string[] {
  if (!targets.includes('tflite') || !showsLogits(model, choice)) return [];
  return ['the TFLite file gives logits: MediaPipe shows them as scores; --softmax makes probabilities of them'];
}
