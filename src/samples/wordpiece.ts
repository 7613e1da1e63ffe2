import { Tokenizer } from '@huggingface/tokenizers';
import { MbertError } from '../errors.ts';
import { isObject, type JsonObject, type JsonValue, jsonText, parseJson } from '../formats/json.ts';
import { decodeText } from '../io/bytes.ts';
import type { TokenRow } from './feeds.ts';

/** A text, or two as in question and context. */
export type Texts = readonly [string] | readonly [string, string];

/** Bytes of a file with their name in errors. */
export interface NamedBytes {
  readonly what: string;
  readonly bytes: Uint8Array;
}

export interface WordPiece {
  /** Number of lines, so one above the largest id. */
  readonly vocabSize: number;
  readonly pad: number;
  /** Id of words that the vocabulary has no pieces for. */
  readonly unknown: number;
  readonly start: number;
  readonly separator: number;
  /** Id of [MASK], absent where the vocabulary has none. */
  readonly mask: number | undefined;
  /**
   * Encodes `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`, cut to `maxLength` tokens from the ends of the texts. Throws
   * USAGE where `maxLength` has no room for the special tokens.
   */
  encode(texts: Texts, maxLength?: number): TokenRow;
}

/** Tokenizer classes of transformers that are plain WordPiece; others may have a vocab.txt of another kind. */
const WORDPIECE_CLASSES = /^(Bert|DistilBert|MobileBert|Electra|SqueezeBert|ConvBert|PreTrained)Tokenizer(Fast)?$/;

/** Longest word; longer ones become [UNK], as in google-research/bert's tokenization.py. */
const MAX_WORD_CHARACTERS = 100;

/** Han characters outside the basic plane as the Rust tokenizers split them (its third range does start at 2B920). */
const ASTRAL_HAN =
  /[\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu;

/**
 * Reads BERT's tokenizer from a vocab.txt (one token a line, its id is the number of the line) and, where there is one,
 * a tokenizer_config.json. Without `do_lower_case` it lower-cases unless the vocabulary has upper-case words itself.
 * Throws MALFORMED for a vocabulary without [PAD], [UNK], [CLS] or [SEP] and for settings of a wrong type.
 */
export function readWordPiece(vocabFile: NamedBytes, configFile?: NamedBytes): WordPiece {
  const { ids, size } = parseVocab(vocabFile);
  const { tokens, ...settings } = parseSettings(configFile);
  const lowerCase = settings.lowerCase ?? !hasUpperCase(ids.keys());
  const idOf = (token: string): number => {
    const id = ids.get(token);
    if (id !== undefined) return id;
    throw new MbertError('MALFORMED', `${vocabFile.what}: has no ${token}`, {
      hint: 'a BERT vocabulary has one token a line, [PAD], [UNK], [CLS] and [SEP] among them',
    });
  };
  const [pad, start, separator] = [idOf(tokens.pad), idOf(tokens.start), idOf(tokens.separator)];
  const unknown = idOf(tokens.unknown);

  const special = Object.values(tokens).filter((token) => ids.has(token));
  const tokenizer = new Tokenizer(
    {
      version: '1.0',
      added_tokens: special.map((content) => ({ id: idOf(content), content, special: true })),
      normalizer: {
        type: 'BertNormalizer',
        clean_text: true,
        handle_chinese_chars: settings.splitHan,
        strip_accents: settings.stripAccents,
        lowercase: lowerCase,
      },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: null,
      decoder: null,
      model: {
        type: 'WordPiece',
        unk_token: tokens.unknown,
        continuing_subword_prefix: '##',
        max_input_chars_per_word: MAX_WORD_CHARACTERS,
        vocab: Object.fromEntries(ids),
      },
    },
    {},
  );

  /** Prepares a text: the library splits no Han character of a higher plane and lower-cases a final sigma otherwise. */
  const prepare = (text: string): string => {
    const split = settings.splitHan ? text.replace(ASTRAL_HAN, ' $& ') : text;
    return lowerCase ? split.replaceAll('Σ', 'σ') : split;
  };
  const idsOf = (text: string): number[] => tokenizer.encode(prepare(text), { add_special_tokens: false }).ids;

  return {
    vocabSize: size,
    pad,
    unknown,
    start,
    separator,
    mask: ids.get(tokens.mask),
    encode([textA, textB], maxLength = Number.POSITIVE_INFINITY) {
      const room = maxLength - (textB ? 3 : 2);
      if (room < 0) throw new MbertError('USAGE', `sequence length ${maxLength}: has no room for [CLS] and [SEP]`);
      const idsA = idsOf(textA);
      if (!textB) {
        const inputIds = [start, ...idsA.slice(0, room), separator];
        return { inputIds, tokenTypeIds: inputIds.map(() => 0) };
      }
      const idsB = idsOf(textB);
      const [lengthA, lengthB] = truncatedLengths(idsA.length, idsB.length, room);
      const first = [start, ...idsA.slice(0, lengthA), separator];
      const second = [...idsB.slice(0, lengthB), separator];
      return { inputIds: [...first, ...second], tokenTypeIds: [...first.map(() => 0), ...second.map(() => 1)] };
    },
  };
}

/**
 * Lengths to cut two texts to, transformers' `longest_first`: the longer text gives way until both have half of the
 * room, the longer an odd one more.
 */
function truncatedLengths(a: number, b: number, room: number): readonly [number, number] {
  if (a + b <= room) return [a, b];
  const shorter = Math.min(a, b, Math.floor(room / 2));
  return a <= b ? [shorter, room - shorter] : [room - shorter, shorter];
}

/** Reads a vocabulary; the last of two equal tokens has the id, as in transformers. */
function parseVocab({ what, bytes }: NamedBytes): { readonly ids: ReadonlyMap<string, number>; readonly size: number } {
  const lines = decodeText(bytes, what).split(/\r\n|\n|\r/);
  if (lines.at(-1) === '') lines.pop();
  return { ids: new Map(lines.map((token, id) => [token, id])), size: lines.length };
}

/** True for a vocabulary with upper-case words; special tokens such as [CLS] tell nothing. */
function hasUpperCase(tokens: Iterable<string>): boolean {
  for (const token of tokens) {
    if (!/^\[.*\]$/.test(token) && /[A-Z]/.test(token)) return true;
  }
  return false;
}

interface Settings {
  readonly lowerCase: boolean | undefined;
  /** True where accents are stripped; null strips them where the tokenizer lower-cases. */
  readonly stripAccents: boolean | null;
  readonly splitHan: boolean;
  readonly tokens: Readonly<Record<'pad' | 'unknown' | 'start' | 'separator' | 'mask', string>>;
}

function parseSettings(file: NamedBytes | undefined): Settings {
  const what = file?.what ?? '';
  const config = file === undefined ? new Map<string, JsonValue>() : parseJson(decodeText(file.bytes, what), what);
  if (!isObject(config)) throw new MbertError('MALFORMED', `${what}: is not a JSON object`);
  const type = config.get('tokenizer_class') ?? 'BertTokenizer';
  if (typeof type !== 'string' || !WORDPIECE_CLASSES.test(type)) {
    throw new MbertError('UNSUPPORTED', `${what}: tokenizer_class: ${jsonText(type)} is no WordPiece tokenizer`);
  }
  const flag = (key: string): boolean | undefined => {
    const value = config.get(key) ?? undefined;
    if (value === undefined || typeof value === 'boolean') return value;
    throw new MbertError('MALFORMED', `${what}: ${key}: is ${jsonText(value)}, not true or false`);
  };
  return {
    lowerCase: flag('do_lower_case'),
    stripAccents: flag('strip_accents') ?? null,
    splitHan: flag('tokenize_chinese_chars') ?? true,
    tokens: {
      pad: tokenOf(config, 'pad_token', '[PAD]', what),
      unknown: tokenOf(config, 'unk_token', '[UNK]', what),
      start: tokenOf(config, 'cls_token', '[CLS]', what),
      separator: tokenOf(config, 'sep_token', '[SEP]', what),
      mask: tokenOf(config, 'mask_token', '[MASK]', what),
    },
  };
}

/** Reads a special token, which is a string or an object with the string as its content. */
function tokenOf(config: JsonObject, key: string, usual: string, what: string): string {
  const value = config.get(key) ?? usual;
  const token = isObject(value) ? value.get('content') : value;
  if (typeof token === 'string' && token !== '') return token;
  throw new MbertError('MALFORMED', `${what}: ${key}: is ${jsonText(value)}, not a token`);
}
