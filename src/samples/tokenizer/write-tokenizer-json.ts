import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import type { TokenizerDefinition } from './definition.ts';
import { readDefinition } from './read.ts';
import type { TemplatePiece } from './template.ts';

/**
 * Makes the tokenizer.json of a vocab.txt: programs outside of Python read no other file. Undefined where there is no
 * vocab.txt; throws what reading it throws.
 */
export function tokenizerJson(files: TokenizerFiles): Uint8Array | undefined {
  const read = readDefinition({ ...files, tokenizer: undefined });
  if (read === undefined) return undefined;
  const { definition, settings, lowerCase } = read;
  const { added, model, template, ids } = definition;
  const nameOf = namesOf(definition);
  const byId = new Map(added.map((token) => [token.id, token]));
  const json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [...byId.values()]
      .sort((a, b) => a.id - b.id)
      .map(({ id, content, isWord, stripsLeft, stripsRight, isNormalized }) => ({
        id,
        content,
        single_word: isWord,
        lstrip: stripsLeft,
        rstrip: stripsRight,
        normalized: isNormalized,
        special: !isNormalized,
      })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: settings.splitHan ?? true,
      strip_accents: settings.stripAccents ?? null,
      lowercase: lowerCase,
    },
    pre_tokenizer: definition.preTokenizer,
    post_processor: {
      type: 'TemplateProcessing',
      single: template.single.flatMap((piece) => pieceJson(piece, nameOf)),
      pair: template.pair.flatMap((piece) => pieceJson(piece, nameOf)),
      special_tokens: Object.fromEntries(
        [ids.start, ids.separator].flatMap((id) => {
          const name = id === undefined ? undefined : nameOf.get(id);
          return name === undefined ? [] : [[name, { id: name, ids: [id], tokens: [name] }]];
        }),
      ),
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model,
  };
  return new TextEncoder().encode(`${JSON.stringify(json, null, 1)}\n`);
}

/** Names of the special tokens in tokenizer_config.json, by what they are for. */
const CONFIG_KEYS = [
  ['pad', 'pad_token'],
  ['unknown', 'unk_token'],
  ['start', 'cls_token'],
  ['separator', 'sep_token'],
  ['mask', 'mask_token'],
] as const;

/** The entries of a tokenizer_config.json that name special tokens; empty where no file has a vocabulary. */
export function specialTokenEntries(files: TokenizerFiles): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  const definition = readDefinition(files)?.definition;
  if (definition === undefined) return entries;
  const nameOf = namesOf(definition);
  for (const [purpose, key] of CONFIG_KEYS) {
    const id = definition.ids[purpose];
    const name = id === undefined ? undefined : nameOf.get(id);
    if (name !== undefined) entries.set(key, name);
  }
  return entries;
}

function namesOf({ vocabulary, added }: TokenizerDefinition): ReadonlyMap<number, string> {
  return new Map([
    ...[...vocabulary].map(([token, id]) => [id, token] as const),
    ...added.map(({ content, id }) => [id, content] as const),
  ]);
}

function pieceJson(piece: TemplatePiece, nameOf: ReadonlyMap<number, string>): object[] {
  if ('text' in piece) return [{ Sequence: { id: piece.text === 0 ? 'A' : 'B', type_id: piece.type } }];
  return piece.ids.map((id) => ({ SpecialToken: { id: nameOf.get(id), type_id: piece.type } }));
}
