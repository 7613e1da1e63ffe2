import { malformed } from '../../errors.ts';
import { isObject, type JsonObject, type JsonValue, jsonText, parseJson } from '../../formats/json.ts';
import type { NamedBytes, TokenizerFiles } from '../../formats/tokenizer-files.ts';
import { decodeText } from '../../io/bytes.ts';
import { type AddedToken, readAddedToken } from './added-tokens.ts';
import { type Fields, fieldsOf } from './json-fields.ts';

export type SpecialName = 'pad' | 'unknown' | 'start' | 'separator' | 'mask';

/** Settings from the files beside the vocabulary; undefined where none has them. */
export interface TokenizerSettings {
  /** Name of tokenizer_config.json in errors. */
  readonly what: string;
  readonly className: string | undefined;
  readonly lowerCase: boolean | undefined;
  /** Null strips accents where the tokenizer lower-cases. */
  readonly stripAccents: boolean | null | undefined;
  readonly splitHan: boolean | undefined;
  readonly tokens: { readonly [S in SpecialName]: string | undefined };
  readonly added: readonly AddedToken[];
  /** Longest sequence, special tokens included. */
  readonly maxLength: number | undefined;
  /** True where a text that is too long loses its beginning. */
  readonly cutsStart: boolean;
  /** False where the model's inputs are named and token types are none of them: all tokens are of type 0 then. */
  readonly hasTokenTypes: boolean;
  /** True where sentence-transformers lower-cases texts before the tokenizer sees them. */
  readonly lowersTexts: boolean;
}

/** Longest length that is one: transformers writes 10^30 where it knows none. */
const MAX_LENGTH = 1_000_000;

/** Reads all files but those of the vocabulary. Throws MALFORMED for settings of a wrong type. */
export function readSettings(files: TokenizerFiles): TokenizerSettings {
  const config = readFields(files.config, 'tokenizer_config.json');
  const sentences = readFields(files.sentences, 'sentence_bert_config.json');
  const map = readFields(files.specialTokens, 'special_tokens_map.json');
  const decoder = config.object('added_tokens_decoder');
  // As in transformers: where the config has all tokens with their settings, the older file is not asked.
  const sources = decoder ? [config, map] : [map, config];
  const token = (key: string) => tokenOf(sources, key);
  return {
    what: config.what,
    className: config.text('tokenizer_class'),
    lowerCase: config.flag('do_lower_case'),
    stripAccents: config.has('strip_accents') ? (config.flag('strip_accents') ?? null) : undefined,
    splitHan: config.flag('tokenize_chinese_chars'),
    tokens: {
      pad: token('pad_token'),
      unknown: token('unk_token'),
      start: token('cls_token'),
      separator: token('sep_token'),
      mask: token('mask_token'),
    },
    added: decoder
      ? [...decoder].map(([id, json]) =>
          readAddedToken(json, `${config.what}: added_tokens_decoder: ${id}`, Number(id)),
        )
      : olderTokens(files.addedTokens, sources),
    maxLength: lengthOf(sentences, 'max_seq_length') ?? lengthOf(config, 'model_max_length'),
    cutsStart: config.text('truncation_side') === 'left',
    hasTokenTypes: config.list('model_input_names')?.includes('token_type_ids') ?? true,
    lowersTexts: sentences.flag('do_lower_case') ?? false,
  };
}

function readFields(file: NamedBytes | undefined, name: string): Fields {
  if (file === undefined) return fieldsOf(new Map(), name);
  return fieldsOf(readJson(file), file.what);
}

/** Parses a file that holds one JSON object. */
export function readJson({ what, bytes }: NamedBytes): JsonObject {
  const json = parseJson(decodeText(bytes, what), what);
  if (isObject(json)) return json;
  throw malformed(what, 'is not a JSON object');
}

/** Reads a special token, which is a text or an object with the text as its content. */
function tokenOf(sources: readonly Fields[], key: string): string | undefined {
  for (const fields of sources) {
    const value = fields.value(key);
    if (value === undefined) continue;
    const token = isObject(value) ? value.get('content') : value;
    if (typeof token === 'string' && token !== '') return token;
    throw malformed(fields.what, `${key}: is ${jsonText(value)}, not a token`);
  }
  return undefined;
}

/** Keys of special tokens, which are found in texts as they are; other added tokens in normalized text. */
const SPECIAL_KEYS = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'];

/** Reads added_tokens.json, `{"[E1]": 30522}`. */
function olderTokens(file: NamedBytes | undefined, sources: readonly Fields[]): AddedToken[] {
  if (file === undefined) return [];
  const more = sources.flatMap((fields) => fields.list('additional_special_tokens') ?? []);
  const special = new Set<JsonValue | undefined>([...SPECIAL_KEYS.map((key) => tokenOf(sources, key)), ...more]);
  return [...readJson(file)].map(([content, id]) => {
    const token = new Map<string, JsonValue>([
      ['content', content],
      ['id', id],
      ['special', special.has(content)],
    ]);
    return readAddedToken(token, `${file.what}: ${content}`);
  });
}

function lengthOf(fields: Fields, key: string): number | undefined {
  const value = fields.value(key);
  const isLength = typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= MAX_LENGTH;
  return isLength ? value : undefined;
}
