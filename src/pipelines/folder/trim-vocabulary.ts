import { existsSync, statSync } from 'node:fs';
import { MbertError } from '../../errors.ts';
import type { JsonValue } from '../../formats/json.ts';
import type { NamedBytes, TokenizerFiles } from '../../formats/tokenizer-files.ts';
import { parseObject } from '../../importers/side-files.ts';
import { tokenizerOf } from '../../opened/model-tokenizer.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { trimmedModel } from '../../opened/trimmed-model.ts';
import type { ColumnNames } from '../../samples/columns.ts';
import { readSamples } from '../../samples/samples.ts';
import { plain } from '../../samples/tokenizer/json-fields.ts';
import { keptTokens, scriptPattern, type Wanted } from '../../samples/tokenizer/kept-tokens.ts';
import { readDefinition } from '../../samples/tokenizer/read.ts';
import { trimTokenizer } from '../../samples/tokenizer/trim-tokenizer.ts';
import { readTokenizer, type Texts, type Tokenizer } from '../../samples/tokenizer.ts';

/** A vocabulary with fewer tokens. */
export interface TrimmedVocabulary {
  readonly files: TokenizerFiles;
  /** Old ids by new ones. */
  readonly kept: readonly number[];
  /** Number of tokens that there were. */
  readonly before: number;
}

/** What decides which tokens stay. */
interface Trimming {
  /** A file of texts, or names of scripts with commas between them. */
  readonly what: string;
  /** Columns that hold the texts. */
  readonly columns: ColumnNames;
}

/**
 * Takes tokens out of a vocabulary: all but those of a file of texts, or of scripts by their names in Unicode. Every text of
 * the file is cut by both tokenizers, and must come out the same. Throws USAGE for what is neither, NOT_FOUND for a model
 * without a tokenizer, UNSUPPORTED for a tokenizer that mbert cannot read or whose tokens it cannot take out.
 */
export function trimVocabulary(
  model: OpenedModel,
  given: TokenizerFiles | undefined,
  { what, columns }: Trimming,
): TrimmedVocabulary {
  const files = tokenizerOf(model, given);
  const [definition, tokenizer] = [readDefinition(files)?.definition, readTokenizer(files)];
  if (definition === undefined || tokenizer === undefined) {
    throw new MbertError('NOT_FOUND', `--trim-vocabulary: ${model.path}: there is no vocabulary beside it`, {
      hint: 'give one with --vocab',
    });
  }
  const tokens = new Map([
    ...definition.vocabulary,
    ...definition.added.map(({ content, id }) => [content, id] as const),
  ]);
  const known = new Set(tokens.values());
  const wanted = wantedBy(what, columns, tokenizer);
  const kept = keptTokens(definition, wanted, configIds(model)).filter((id) => known.has(id));
  const trimmed = trimTokenizer(files, kept);
  refuseMoved(trimmed, tokens, kept, definition.what);
  if ('texts' in wanted) refuseChanged(trimmed, wanted, kept, what);
  return { files: trimmed, kept, before: known.size };
}

function wantedBy(what: string, columns: ColumnNames, tokenizer: Tokenizer): Wanted {
  if (existsSync(what) && statSync(what).isFile()) {
    const encode = (texts: Texts) => tokenizer.encode(texts).inputIds;
    return { texts: readSamples(what, columns).map(({ texts }) => texts), encode };
  }
  const scripts = what.split(',').map((name) => name.trim());
  scriptPattern(scripts);
  return { scripts };
}

/** Ids that the model's config gives a meaning. */
function configIds({ config }: OpenedModel): number[] {
  return [...(config ?? [])].flatMap(([key, id]) => (key.endsWith('_token_id') && typeof id === 'number' ? [id] : []));
}

/** Throws UNSUPPORTED where a token does not have the id that its row has: files of another kind than are known. */
function refuseMoved(
  trimmed: TokenizerFiles,
  tokens: ReadonlyMap<string, number>,
  kept: readonly number[],
  what: string,
): void {
  const definition = readDefinition(trimmed)?.definition;
  const now = new Map([
    ...(definition?.vocabulary ?? []),
    ...(definition?.added ?? []).map(({ content, id }) => [content, id] as const),
  ]);
  for (const [token, id] of tokens) {
    const place = now.get(token);
    if (place === undefined ? !kept.includes(id) : kept[place] === id) continue;
    throw new MbertError('UNSUPPORTED', `--trim-vocabulary: ${what}: ${token}: would lose its id`, {
      hint: 'write the model with its whole vocabulary',
    });
  }
}

/** Throws UNSUPPORTED for a text that is cut otherwise than before. */
function refuseChanged(
  trimmed: TokenizerFiles,
  { texts, encode }: Extract<Wanted, { readonly texts: readonly Texts[] }>,
  kept: readonly number[],
  what: string,
): void {
  const tokenizer = readTokenizer(trimmed);
  for (const [i, text] of texts.entries()) {
    const before = encode(text);
    const now = tokenizer?.encode(text).inputIds ?? [];
    if (before.length === now.length && before.every((id, place) => kept[now[place] as number] === id)) continue;
    throw new MbertError('UNSUPPORTED', `--trim-vocabulary: ${what}: text ${i + 1} would be cut into other tokens`, {
      hint: 'write the model with its whole vocabulary',
    });
  }
}

/** The model with this vocabulary. */
export function withVocabulary(model: OpenedModel, { kept, files }: TrimmedVocabulary): OpenedModel {
  return { ...trimmedModel(model, kept), tokenizer: files };
}

/** The model's config.json for fewer tokens: their number, and ids of special ones. */
export function trimmedConfig(file: NamedBytes, kept: readonly number[]): Uint8Array {
  const changed = [...parseObject(file)].map(([key, value]): [string, JsonValue] => {
    if (key === 'vocab_size') return [key, kept.length];
    if (!key.endsWith('_token_id') || typeof value !== 'number') return [key, value];
    const place = kept.indexOf(value);
    return [key, place < 0 ? null : place];
  });
  return new TextEncoder().encode(`${JSON.stringify(plain(new Map(changed)), null, 2)}\n`);
}
