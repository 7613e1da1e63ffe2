import { MbertError, malformed } from '../../errors.ts';
import type { JsonObject, JsonValue } from '../../formats/json.ts';
import { type AddedToken, readAddedToken } from './added-tokens.ts';
import { type TokenizerClass, tokenizerClass } from './classes.ts';
import type { TokenizerDefinition, TokenizerKind } from './definition.ts';
import { type Fields, fieldsOf, plain } from './json-fields.ts';
import { bertNormalization, bertNormalizer, type Normalizer, readNormalizer } from './normalizers.ts';
import { libraryPreTokenizer } from './pre-tokenizers.ts';
import type { SpecialName, TokenizerSettings } from './settings.ts';
import { BARE_TEMPLATE, readTemplate } from './template.ts';

/** Largest id: the largest vocabularies have a million tokens. */
const MAX_ID = 10_000_000;

/** Names that special tokens have where no file says. */
const USUAL_TOKENS: { readonly [S in SpecialName]: readonly string[] } = {
  pad: ['[PAD]', '<pad>'],
  unknown: ['[UNK]', '<unk>'],
  start: ['[CLS]', '<s>'],
  separator: ['[SEP]', '</s>'],
  mask: ['[MASK]', '<mask>'],
};

/** Reads a whole tokenizer.json. Throws MALFORMED, and UNSUPPORTED for parts that tokenizers of encoders do not have. */
export function jsonDefinition(json: JsonObject, what: string, settings: TokenizerSettings): TokenizerDefinition {
  const file = fieldsOf(json, what);
  if (!file.has('model')) {
    throw malformed(what, 'is no tokenizer.json: it has no model', 'a vocab.txt, one token a line, will do as well');
  }
  const model = fieldsOf(file.value('model'), `${what}: model`);
  const kind = kindOf(model);
  refuseParts(model, kind);
  const vocabulary = kind === 'Unigram' ? scoredTokens(model) : numberedTokens(model);
  const added = addedTokens(file, settings, vocabulary);
  const idOf = new Map([...vocabulary, ...added.map(({ content, id }) => [content, id] as const)]);
  const known = classOf(settings, idOf);
  const special = (name: SpecialName) => {
    const named = settings.tokens[name] ?? known?.tokens[name];
    return (named === undefined ? USUAL_TOKENS[name] : [named]).map((token) => idOf.get(token)).find(isNumber);
  };
  const [start, separator] = [special('start'), special('separator')];
  const unknown = kind === 'Unigram' ? model.integer('unk_id') : idOf.get(model.text('unk_token') ?? '');
  const template = readTemplate(file.value('post_processor'), `${what}: post_processor`);
  return {
    what,
    kind,
    normalize: normalizerOf(file, settings, known),
    vocabulary,
    added,
    preTokenizer: libraryPreTokenizer(file.value('pre_tokenizer'), `${what}: pre_tokenizer`),
    model: plain(new Map(json.get('model') as JsonObject).set('type', kind)),
    template:
      template ?? (known && isNumber(start) && isNumber(separator) ? known.template(start, separator) : BARE_TEMPLATE),
    ids: { pad: special('pad'), unknown: unknown ?? special('unknown'), start, separator, mask: special('mask') },
  };
}

function isNumber(value: number | undefined): value is number {
  return value !== undefined;
}

/** The model's type, which files of before 2021 do not name. */
function kindOf(model: Fields): TokenizerKind {
  const shown = model.has('merges') ? 'BPE' : model.has('continuing_subword_prefix') ? 'WordPiece' : 'Unigram';
  const type = model.type || shown;
  if (type === 'WordPiece' || type === 'BPE' || type === 'Unigram') return type;
  throw new MbertError('UNSUPPORTED', `${model.what}: type "${type}" is not supported`, {
    hint: 'supported: WordPiece, BPE, Unigram',
  });
}

/** Refuses what the library reads otherwise, or not at all. */
function refuseParts(model: Fields, kind: TokenizerKind): void {
  const refuse = (key: string) => {
    throw new MbertError('UNSUPPORTED', `${model.what}: ${key}: is not supported for ${kind}`);
  };
  if (kind === 'Unigram' && model.flag('byte_fallback')) refuse('byte_fallback');
  const prefix = model.text('continuing_subword_prefix') ?? '';
  if (kind !== 'Unigram' && prefix !== (kind === 'BPE' ? '' : '##')) refuse(`continuing_subword_prefix "${prefix}"`);
  if (kind !== 'BPE') return;
  if (model.list('merges') === undefined) throw malformed(model.what, 'has no merges');
}

/** Tokens with their ids, as WordPiece and BPE have them. */
function numberedTokens(model: Fields): Map<string, number> {
  const vocabulary = new Map<string, number>();
  for (const [token, id] of model.object('vocab') ?? [])
    vocabulary.set(token, checkedId(id, `${model.what}: ${token}`));
  if (vocabulary.size === 0) throw malformed(model.what, 'has no vocab');
  return vocabulary;
}

/** Tokens in the order of their ids, each with its score. */
function scoredTokens(model: Fields): Map<string, number> {
  const list = model.list('vocab') ?? [];
  const vocabulary = new Map<string, number>();
  for (const [id, entry] of list.entries()) {
    const [token, score] = Array.isArray(entry) ? (entry as readonly JsonValue[]) : [];
    if (typeof token !== 'string' || typeof score !== 'number') {
      throw malformed(`${model.what}: vocab[${id}]`, 'is no token with a score');
    }
    vocabulary.set(token, id);
  }
  const unknown = model.integer('unk_id');
  if (unknown === undefined || unknown >= list.length) throw malformed(model.what, 'unk_id names none of its tokens');
  return vocabulary;
}

function checkedId(json: JsonValue, what: string): number {
  if (typeof json === 'number' && Number.isInteger(json) && json >= 0 && json <= MAX_ID) return json;
  throw malformed(what, `its id is no whole number up to ${MAX_ID}`);
}

/** Tokens of the file and of those beside it. What the vocabulary has keeps the id that it has there. */
function addedTokens(
  file: Fields,
  settings: TokenizerSettings,
  vocabulary: ReadonlyMap<string, number>,
): readonly AddedToken[] {
  const own = (file.list('added_tokens') ?? []).map((token, i) =>
    readAddedToken(token, `${file.what}: added_tokens[${i}]`),
  );
  const contents = new Set(own.map(({ content }) => content));
  const all = [...own, ...settings.added.filter(({ content }) => !contents.has(content))];
  return all.map((token) => ({ ...token, id: checkedId(vocabulary.get(token.content) ?? token.id, file.what) }));
}

/** The class that the settings name; where they name none, the special tokens tell. */
function classOf({ className }: TokenizerSettings, idOf: ReadonlyMap<string, number>): TokenizerClass | undefined {
  if (className !== undefined) return tokenizerClass(className);
  const hasAll = (...tokens: readonly string[]) => tokens.every((token) => idOf.has(token));
  if (hasAll('[CLS]', '[SEP]')) return tokenizerClass('BertTokenizer');
  return hasAll('<s>', '</s>') ? tokenizerClass('RobertaTokenizer') : undefined;
}

/** The file's normalizer. BERT's classes set its switches anew from the config, as far as that names them. */
function normalizerOf(file: Fields, settings: TokenizerSettings, known: TokenizerClass | undefined): Normalizer {
  const what = `${file.what}: normalizer`;
  const json = file.value('normalizer');
  if (json === undefined || !known?.isWordPiece || fieldsOf(json, what).type !== 'BertNormalizer') {
    return readNormalizer(json, what);
  }
  const own = bertNormalization(fieldsOf(json, what));
  const { lowerCase = own.lowerCase, splitHan = own.splitHan, stripAccents = own.stripAccents } = settings;
  return bertNormalizer({ cleanText: own.cleanText, lowerCase, splitHan, stripAccents });
}
