import { describe, expect, test } from 'vitest';
import type { OpenedModel } from '../../../src/opened/opened-model.ts';
import { addProbabilities, arrangeOutputs, logitsWarnings } from '../../../src/pipelines/write/outputs.ts';
import { graphOf } from '../../core.ts';
import { modelOf } from '../opened-model.ts';

const EMBEDDER = `graph g (x: f32[1, 4, 2])
  hidden = relu(x)
  embedding = sum(hidden) {axis: 1, keepDims: false}
return last_hidden_state: hidden, sentence_embedding: embedding`;

const SCORED = `graph g (x: f32[1, 2])
  logits = linear(x, w f32[1, 2] #1)
  score = sigmoid(logits)
return logits: logits, score: score`;

const SOFTENED = `graph g (x: f32[1, 2])
  logits = linear(x, w f32[3, 2] #1)
  probability = softmax(logits)
  row = reshape(probability) {shape: [1, 3]}
return shares: row`;

const classifier = (classes: number) =>
  `graph g (x: f32[1, 2]) logits = linear(x, w f32[${classes}, 2] #1) return logits: logits`;

describe('the outputs of a file', () => {
  function outputs(text: string, target: 'onnx' | 'tflite', wanted?: readonly string[]): string[] {
    const graph = graphOf(text);
    arrangeOutputs(graph, target, modelOf(text), { outputs: wanted, softmax: false });
    return graph.outputs.map(({ name }) => name);
  }

  test('are an embedding alone in TFLite, and what it is made of as well in ONNX', () => {
    expect(outputs(EMBEDDER, 'tflite')).toEqual(['sentence_embedding']);
    expect(outputs(EMBEDDER, 'onnx')).toEqual(['last_hidden_state', 'sentence_embedding']);
  });

  test('are a score alone in TFLite', () => {
    expect(outputs(SCORED, 'tflite')).toEqual(['score']);
    expect(outputs(SCORED, 'onnx')).toEqual(['logits', 'score']);
  });

  test('are those that were asked for, in their order', () => {
    expect(outputs(EMBEDDER, 'tflite', ['sentence_embedding', 'last_hidden_state'])).toEqual([
      'sentence_embedding',
      'last_hidden_state',
    ]);
    expect(outputs(EMBEDDER, 'onnx', ['last_hidden_state'])).toEqual(['last_hidden_state']);
  });

  test('leave nothing in the graph that only others needed', () => {
    const graph = graphOf(EMBEDDER);
    arrangeOutputs(graph, 'onnx', modelOf(EMBEDDER), { outputs: ['last_hidden_state'], softmax: false });
    expect(graph.nodes().map(({ op }) => op)).toEqual(['input', 'relu']);
  });

  test('that a model does not have are refused, with those that it has', () => {
    expect(() => outputs(EMBEDDER, 'onnx', ['pooler_output'])).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        message: '--outputs: there is no output pooler_output',
        hint: 'it has last_hidden_state and sentence_embedding',
      }),
    );
  });
});

describe('--softmax', () => {
  function probability(text: string, more: Partial<OpenedModel> = {}) {
    const graph = graphOf(text);
    addProbabilities(graph, modelOf(text, more));
    return graph.outputs.map(({ name, node }) => [name, node.op]);
  }

  test('makes shares of logits of which one is right', () => {
    expect(probability(classifier(3))).toEqual([['probability', 'softmax']]);
  });

  test('makes a probability of each logit that is right or wrong by itself', () => {
    expect(probability(classifier(3), { logitsKind: 'multi-label' })).toEqual([['probability', 'sigmoid']]);
    expect(probability(classifier(1), { logitsKind: 'multi-label' })).toEqual([['probability', 'sigmoid']]);
  });

  test.each([
    ['of one class', classifier(1), {}],
    ['that says so', classifier(3), { logitsKind: 'regression' }],
  ] as const)('is refused for a regression %s', (_, text, more) => {
    expect(() => probability(text, more)).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        message: '--softmax: the model is a regression: softmax of one number is always 1',
        hint: 'its output is the answer as it is',
      }),
    );
  });

  test('is refused where a file gives probabilities already', () => {
    for (const text of [SOFTENED, SOFTENED.replace('softmax', 'sigmoid')]) {
      expect(() => probability(text)).toThrow(
        '--softmax: the model makes probabilities of its logits by itself: shares',
      );
    }
  });

  test('is refused where a model makes scores by itself', () => {
    expect(() => probability(SCORED.replace('logits: logits, ', ''))).toThrow('makes a score of its logits by itself');
  });
});

describe('a classifier for TFLite', () => {
  const PLAIN = { softmax: false, outputs: undefined };

  test('without probabilities is warned of', () => {
    expect(logitsWarnings(modelOf(classifier(2)), ['tflite', 'onnx'], PLAIN)).toEqual([
      'the TFLite file gives logits: MediaPipe shows them as scores; --softmax makes probabilities of them',
    ]);
  });

  test.each([
    ['with probabilities', modelOf(classifier(2)), ['tflite'], { ...PLAIN, softmax: true }],
    ['in ONNX alone', modelOf(classifier(2)), ['onnx'], PLAIN],
    ['that is a regression', modelOf(classifier(1)), ['tflite'], PLAIN],
    ['that gives scores', modelOf(SCORED), ['tflite'], PLAIN],
    ['that gives scores alone', modelOf(SCORED.replace('logits: logits, ', '')), ['tflite'], PLAIN],
    ['that gives probabilities already', modelOf(SOFTENED), ['tflite'], PLAIN],
    ['of tokens', modelOf(classifier(2), { task: 'token-classification' }), ['tflite'], PLAIN],
  ] as const)('%s is not', (_, model, targets, writing) => {
    expect(logitsWarnings(model, targets, writing)).toEqual([]);
  });
});
