import { MbertError } from '../errors.ts';
import { isObject, type JsonObject, type JsonValue, jsonText, parseJson } from '../formats/json.ts';
import type { Sample } from './samples.ts';

/**
 * Reads a sample [question, context] for each question of a SQuAD file (version 1.1 or 2.0), in file order. Answers are
 * places in the text, not in its tokens, and are left out. Throws MALFORMED as `file: part: problem`.
 */
export function parseSquad(text: string, what: string): Sample[] {
  const samples: Sample[] = [];
  const root = objectOf(parseJson(text, what), what);
  for (const [i, article] of listOf(root, 'data', what).entries()) {
    const part = `${what}: data[${i}]`;
    for (const [j, item] of listOf(objectOf(article, part), 'paragraphs', part, OTHER_FORMS).entries()) {
      const place = `${part}.paragraphs[${j}]`;
      const paragraph = objectOf(item, place);
      const context = textOf(paragraph, 'context', place);
      for (const [k, question] of listOf(paragraph, 'qas', place).entries()) {
        const where = `${place}.qas[${k}]`;
        samples.push({ texts: [textOf(objectOf(question, where), 'question', where), context] });
      }
    }
  }
  if (samples.length === 0) throw new MbertError('MALFORMED', `${what}: holds no samples`);
  return samples;
}

function objectOf(value: JsonValue, what: string): JsonObject {
  if (isObject(value)) return value;
  throw new MbertError('MALFORMED', `${what}: is ${jsonText(value)}, not an object`);
}

/** The way out for a file that is told as SQuAD by its first key alone. */
const OTHER_FORMS = 'an object with data is read as SQuAD; other samples are an array, or an object a line';

function listOf(object: JsonObject, key: string, what: string, hint?: string): readonly JsonValue[] {
  const value = object.get(key);
  if (Array.isArray(value)) return value as readonly JsonValue[];
  throw new MbertError('MALFORMED', `${what}: has no list ${key}`, hint === undefined ? {} : { hint });
}

function textOf(object: JsonObject, key: string, what: string): string {
  const value = object.get(key);
  if (typeof value === 'string' && value.trim() !== '') return value;
  throw new MbertError('MALFORMED', `${what}: ${key} is ${value === undefined ? 'not there' : 'no text'}`);
}
