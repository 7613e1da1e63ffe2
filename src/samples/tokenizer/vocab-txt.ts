import { MbertError, malformed } from '../../errors.ts';
import { jsonText } from '../../formats/json.ts';
import type { NamedBytes } from '../../formats/tokenizer-files.ts';
import { decodeText } from '../../io/bytes.ts';
import { specialToken } from './added-tokens.ts';
import { type TokenizerClass, tokenizerClass } from './classes.ts';
import type { TokenizerDefinition } from './definition.ts';
import { bertNormalizer } from './normalizers.ts';
import type { SpecialName, TokenizerSettings } from './settings.ts';

/** Longest word; longer ones become [UNK], as in google-research/bert's tokenization.py. */
const MAX_WORD_CHARACTERS = 100;

/** Least share of tokens with an upper-case letter in a vocabulary of cased text: BERT's have 40 %, uncased ones none. */
const CASED_SHARE = 0.01;

const CONTINUED = '##';

/**
 * Reads BERT's tokenizer from a vocab.txt. Throws MALFORMED for a vocabulary without [PAD], [UNK], [CLS] or [SEP], or what
 * the settings call them, and UNSUPPORTED for a class that is not WordPiece.
 */
export function vocabularyDefinition(
  file: NamedBytes,
  settings: TokenizerSettings,
  lowerCase: boolean,
): TokenizerDefinition {
  const { template, tokens: usual } = wordPieceClass(settings);
  const vocabulary = readVocabulary(file);
  const nameOf = (name: SpecialName) => settings.tokens[name] ?? usual[name];
  const idOf = (name: SpecialName): number => {
    const id = vocabulary.get(nameOf(name));
    if (id !== undefined) return id;
    throw malformed(
      file.what,
      `has no ${nameOf(name)}`,
      'a BERT vocabulary has one token a line, [PAD], [UNK], [CLS] and [SEP] among them',
    );
  };
  const ids = {
    pad: idOf('pad'),
    unknown: idOf('unknown'),
    start: idOf('start'),
    separator: idOf('separator'),
    mask: vocabulary.get(nameOf('mask')),
  };
  const special = (Object.keys(ids) as SpecialName[]).flatMap((name) => {
    const id = ids[name];
    return id === undefined ? [] : [specialToken(id, nameOf(name))];
  });
  const { stripAccents = null, splitHan = true } = settings;
  return {
    what: file.what,
    kind: 'WordPiece',
    normalize: bertNormalizer({ cleanText: true, splitHan, stripAccents, lowerCase }),
    vocabulary,
    added: [...special, ...settings.added],
    preTokenizer: { type: 'BertPreTokenizer' },
    model: {
      type: 'WordPiece',
      unk_token: nameOf('unknown'),
      continuing_subword_prefix: CONTINUED,
      max_input_chars_per_word: MAX_WORD_CHARACTERS,
      vocab: Object.fromEntries(vocabulary),
    },
    template: template(ids.start, ids.separator),
    ids,
  };
}

function wordPieceClass({ what, className = 'BertTokenizer' }: TokenizerSettings): TokenizerClass {
  // A tokenizer without a class of its own, saved beside a vocabulary, is BERT's.
  const found = tokenizerClass(/^PreTrainedTokenizer(Fast)?$/.test(className) ? 'BertTokenizer' : className);
  if (found?.isWordPiece) return found;
  throw new MbertError('UNSUPPORTED', `${what}: tokenizer_class: ${jsonText(className)} is no WordPiece tokenizer`);
}

/** Reads tokens, one a line; the last of two equal ones has the id, as in transformers. */
export function readVocabulary({ what, bytes }: NamedBytes): ReadonlyMap<string, number> {
  const lines = decodeText(bytes, what).split(/\r\n|\n|\r/);
  if (lines.at(-1) === '') lines.pop();
  return new Map(lines.map((token, id) => [token, id]));
}

/** True for a vocabulary of cased text; special tokens such as [CLS] tell nothing. */
export function isCased(vocabulary: ReadonlyMap<string, number>): boolean {
  let upper = 0;
  for (const token of vocabulary.keys()) if (!/^\[.*\]$/.test(token) && /[A-Z]/.test(token)) upper++;
  return upper > 0 && upper >= vocabulary.size * CASED_SHARE;
}
