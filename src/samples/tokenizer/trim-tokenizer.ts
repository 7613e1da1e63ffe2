import { malformed } from '../../errors.ts';
import { isObject, type JsonObject, type JsonValue } from '../../formats/json.ts';
import type { NamedBytes, TokenizerFiles } from '../../formats/tokenizer-files.ts';
import { plain } from './json-fields.ts';
import { mergesOf } from './kept-tokens.ts';
import { readJson } from './settings.ts';
import { readVocabulary } from './vocab-txt.ts';

/** New id of an old one; undefined for a token that is gone. */
type NewIds = ReadonlyMap<number, number>;

/** The files of a tokenizer with only these tokens, whose new ids are their places in `kept`. */
export function trimTokenizer(files: TokenizerFiles, kept: readonly number[]): TokenizerFiles {
  const newIds: NewIds = new Map(kept.map((id, i) => [id, i]));
  const rewrite = (file: NamedBytes | undefined, change: (json: JsonObject, what: string) => JsonObject) =>
    file && jsonFile(file.what, change(readJson(file), file.what));
  return {
    ...files,
    tokenizer: rewrite(files.tokenizer, (json, what) => trimmedJson(json, newIds, what)),
    vocabulary: files.vocabulary && trimmedLines(files.vocabulary, newIds),
    config: rewrite(files.config, (json) => trimmedSettings(json, newIds)),
    addedTokens: rewrite(
      files.addedTokens,
      (json) => new Map([...json].flatMap(([token, id]) => entry(token, id, newIds))),
    ),
  };
}

function jsonFile(what: string, json: JsonObject): NamedBytes {
  return { what, bytes: new TextEncoder().encode(`${JSON.stringify(plain(json), null, 1)}\n`) };
}

function entry(token: string, id: JsonValue, newIds: NewIds): [string, JsonValue][] {
  const known = typeof id === 'number' ? newIds.get(id) : undefined;
  return known === undefined ? [] : [[token, known]];
}

/** The lines of the kept ids; ids that lie behind the file belong to other files. */
function trimmedLines(file: NamedBytes, newIds: NewIds): NamedBytes {
  const tokens = [...readVocabulary(file)].filter(([, id]) => newIds.has(id));
  const lines = tokens.sort(([, a], [, b]) => a - b).map(([token]) => token);
  return { what: file.what, bytes: new TextEncoder().encode(`${lines.join('\n')}\n`) };
}

/** The config with the keys of added_tokens_decoder, which are ids, changed. */
function trimmedSettings(json: JsonObject, newIds: NewIds): JsonObject {
  const decoder = json.get('added_tokens_decoder');
  if (!isObject(decoder)) return json;
  const changed = [...decoder].flatMap(([id, token]): [string, JsonValue][] => {
    const known = newIds.get(Number(id));
    return known === undefined ? [] : [[String(known), token]];
  });
  return new Map(json).set('added_tokens_decoder', new Map(changed));
}

function trimmedJson(json: JsonObject, newIds: NewIds, what: string): JsonObject {
  const changed = new Map(json);
  const model = json.get('model');
  if (!isObject(model)) throw malformed(what, 'has no model');
  changed.set('model', trimmedModel(model, newIds, what));
  const added = json.get('added_tokens');
  if (Array.isArray(added)) {
    changed.set(
      'added_tokens',
      (added as readonly JsonValue[]).filter(isObject).flatMap((token) => withNewId(token, 'id', newIds)),
    );
  }
  const padding = json.get('padding');
  if (isObject(padding)) changed.set('padding', withNewId(padding, 'pad_id', newIds)[0] ?? null);
  changed.set('post_processor', withNewIds(json.get('post_processor') ?? null, newIds));
  return changed;
}

function withNewId(object: JsonObject, key: string, newIds: NewIds): JsonObject[] {
  const id = object.get(key);
  const known = typeof id === 'number' ? newIds.get(id) : undefined;
  return known === undefined ? [] : [new Map(object).set(key, known)];
}

function trimmedModel(model: JsonObject, newIds: NewIds, what: string): JsonObject {
  const changed = new Map(model);
  const vocab = model.get('vocab');
  // Unigram's ids are places in a list.
  if (Array.isArray(vocab)) {
    changed.set(
      'vocab',
      (vocab as readonly JsonValue[]).filter((_, id) => newIds.has(id)),
    );
    return withNewId(changed, 'unk_id', newIds)[0] ?? changed;
  }
  if (!isObject(vocab)) throw malformed(what, 'model: has no vocab');
  const tokens = new Map([...vocab].flatMap(([token, id]) => entry(token, id, newIds)));
  changed.set('vocab', tokens);
  const merges = model.get('merges');
  if (Array.isArray(merges)) {
    const pairs = mergesOf(plain(model), what);
    const isKept = (_: JsonValue, i: number) => {
      const [left, right] = pairs[i] as readonly [string, string];
      return [left, right, left + right].every((token) => tokens.has(token));
    };
    changed.set('merges', (merges as readonly JsonValue[]).filter(isKept));
  }
  return changed;
}

/** A post-processor, whose ids stand beside their tokens: `["[SEP]", 102]`, or `"ids": [102]`. */
function withNewIds(json: JsonValue, newIds: NewIds): JsonValue {
  const mapped = (id: JsonValue) => (typeof id === 'number' ? (newIds.get(id) ?? id) : id);
  if (Array.isArray(json)) return (json as readonly JsonValue[]).map((part) => withNewIds(part, newIds));
  if (!isObject(json)) return json;
  return new Map(
    [...json].map(([key, value]): [string, JsonValue] => {
      if (!Array.isArray(value)) return [key, withNewIds(value, newIds)];
      const list = value as readonly JsonValue[];
      return [key, key === 'ids' || key === 'sep' || key === 'cls' ? list.map(mapped) : withNewIds(list, newIds)];
    }),
  );
}
