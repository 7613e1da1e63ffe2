// Answers of the Python libraries (answers.json, by make_answers.py), and how far another one's are from them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const read = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));

/** Cases with their expected answers: { model, task, texts, contexts?, answers }. */
export const cases = read('cases.json').map((row) => ({ ...row, answers: read('answers.json')[row.model] }));

/** The case of a model. */
export const caseOf = (model) => cases.find((row) => row.model === model);

/** Cosine between two vectors. */
export function cosine(a, b) {
  assert.equal(a.length, b.length);
  let dot = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return dot / Math.sqrt(aa * bb);
}

/** Largest difference between numbers of two arrays of one length. */
export function maxError(a, b) {
  assert.equal(a.length, b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const error = Math.abs(a[i] - b[i]);
    if (!(error <= largest)) largest = error;
  }
  return largest;
}
