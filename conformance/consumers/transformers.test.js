// transformers.js in Node opens what mbert writes: each pipeline, two texts in a batch, answers as Python's.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { env, pipeline } from '@huggingface/transformers';
import { caseOf, cases, cosine, maxError } from './answers.js';
import { at, transformersFolder } from './workspace.js';

env.allowRemoteModels = false;
env.localModelPath = at('transformers');

/** Trained models, of which smaller files are measured as well. */
const ALL_FORMS = new Set(['mobilebert-demo', 'all-MiniLM-L6-v2']);

/** Scores are of float32 models that differ by the order of sums: measured below 3e-7. */
const MOST_ERROR = 1e-5;
const LEAST_COSINE = 0.999999;

/** How each pipeline is asked; each returns [words that have to be the same, numbers that have to be close]. */
const ASK = {
  async 'text-classification'(pipe, { texts }) {
    const answers = await pipe(texts, { top_k: null });
    const byLabel = answers.map((scores) => scores.toSorted((a, b) => a.label.localeCompare(b.label)));
    return byLabel.flat().map(({ label, score }) => [label, score]);
  },
  async 'token-classification'(pipe, { texts }) {
    return (await pipe(texts)).flat().map(({ word, entity, score }) => [`${word} ${entity}`, score]);
  },
  async 'question-answering'(pipe, { texts, contexts }) {
    return (await pipe(texts, contexts)).map(({ answer, score }) => [answer, score]);
  },
  async 'fill-mask'(pipe, { texts }) {
    return (await pipe(texts)).flat().map(({ token_str, score }) => [token_str, score]);
  },
  async 'feature-extraction'(pipe, { texts }) {
    const vectors = await pipe(texts, { pooling: 'mean', normalize: true });
    return vectors
      .tolist()
      .flat()
      .map((value) => ['', value]);
  },
};

/** The same pairs out of answers.json. */
const EXPECTED = {
  'text-classification': (answers) =>
    answers.flatMap((scores) => Object.entries(scores).toSorted(([a], [b]) => a.localeCompare(b))),
  'token-classification': (answers) => answers.flat().map(({ word, entity, score }) => [`${word} ${entity}`, score]),
  'question-answering': (answers) => answers.map(({ answer, score }) => [answer, score]),
  'fill-mask': (answers) => answers.flat().map(({ token_str, score }) => [token_str, score]),
  'feature-extraction': (answers) => answers.flat().map((value) => ['', value]),
};

const words = (pairs) => pairs.map(([word]) => word);
const numbers = (pairs) => pairs.map(([, number]) => number);
const opened = [];
after(() => Promise.all(opened.map((pipe) => pipe.dispose())));

async function open(row, dtype) {
  const pipe = await pipeline(row.task, row.model, { dtype, device: 'cpu' });
  opened.push(pipe);
  return pipe;
}

for (const row of cases) {
  test(`${row.task} with ${row.model} answers as Python does`, async () => {
    transformersFolder(row, ALL_FORMS.has(row.model) ? ['f32', 'f16', 'dynamic', 'int8', 'w4'] : ['f32']);
    const given = await ASK[row.task](await open(row, 'fp32'), row);
    const wanted = EXPECTED[row.task](row.answers);
    assert.deepEqual(words(given), words(wanted));
    assert.ok(maxError(numbers(given), numbers(wanted)) < MOST_ERROR, `${maxError(numbers(given), numbers(wanted))}`);
    assert.ok(cosine(numbers(given), numbers(wanted)) > LEAST_COSINE);
  });
}

describe('files with smaller weights', () => {
  for (const [dtype, leastCosine] of [
    ['fp16', 0.99999],
    ['q8', 0.99],
    ['int8', 0.995],
    ['q4', 0.95],
  ]) {
    test(`${dtype}: vectors of all-MiniLM-L6-v2`, async (context) => {
      const row = caseOf('all-MiniLM-L6-v2');
      const pipe = await open(row, dtype);
      const vectors = await pipe(row.texts, { pooling: 'mean', normalize: true });
      const cosines = vectors.tolist().map((vector, i) => cosine(vector, row.answers[i]));
      context.diagnostic(`cosines ${cosines.map((value) => value.toFixed(5)).join(' ')}`);
      assert.ok(Math.min(...cosines) > leastCosine, `${cosines}`);
    });

    test(`${dtype}: classes of mobilebert-demo`, async (context) => {
      const row = caseOf('mobilebert-demo');
      const given = await ASK[row.task](await open(row, dtype), row);
      const error = maxError(numbers(given), numbers(EXPECTED[row.task](row.answers)));
      context.diagnostic(`largest error of a score ${error.toExponential(1)}`);
      assert.ok(error < 0.1, `${error}`);
    });
  }
});
