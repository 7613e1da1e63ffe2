import { MbertError } from '../../errors.ts';
import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import { tokenizerOf } from '../../opened/model-tokenizer.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { tableRows } from '../../opened/token-tables.ts';
import type { Target } from '../../passes/index.ts';
import { type TokenizerFacts, tokenizerFacts } from '../../samples/tokenizer-facts.ts';

/** Text libraries of phones that read the vocabulary in a TFLite file: WordPiece, lower-cased, with BERT's special tokens. */
const READERS = 'MediaPipe and Task Library';

/** Special tokens that they look for by these names. */
const WANTED_TOKENS = ['[CLS]', '[SEP]', '[UNK]'];

/** Tables are often padded to a multiple of 128; a vocabulary that lacks more may be another model's. */
const MOST_LACKING = 128;

/**
 * Warns, worded `file: problem`, where a vocabulary that the user named may be another model's, and where that of a TFLite
 * file will not serve those who read it. Throws MISMATCH for one that the user named and that has more tokens than the
 * model's table rows, and what reading it throws.
 */
export function vocabularyWarnings(
  model: OpenedModel,
  given: TokenizerFiles | undefined,
  targets: readonly Target[],
): string[] {
  const hasReaders = targets.includes('tflite');
  if (!hasReaders && given === undefined) return [];
  const files = tokenizerOf(model, given);
  const facts = tokenizerFacts(files);
  const what = (files.vocabulary ?? files.tokenizer)?.what ?? 'vocabulary';
  if (facts.problem !== undefined) {
    if (given !== undefined) throw facts.problem;
    const carried = facts.vocabulary ? 'may not read its vocabulary' : 'find no vocabulary in the file';
    return [`${facts.problem.message}: ${READERS} ${carried}`];
  }
  if (facts.kind === undefined) return [];
  if (facts.kind !== 'WordPiece') {
    return hasReaders ? [`${what}: is ${facts.kind}, not WordPiece: ${READERS} find no vocabulary in the file`] : [];
  }
  const rows = tableRows(model.reference(), 'input_ids', Number.NaN);
  return [...sizeWarnings(what, facts, rows, given !== undefined), ...(hasReaders ? readerWarnings(what, facts) : [])];
}

function sizeWarnings(what: string, { tokens }: TokenizerFacts, rows: number, isGiven: boolean): string[] {
  const size = [...tokens.values()].reduce((most, id) => Math.max(most, id + 1), 0);
  const sizes = `has ${size} tokens, the model's embeddings ${rows} rows`;
  if (size > rows) {
    const hint = 'it is the vocabulary of another model';
    if (isGiven) throw new MbertError('MISMATCH', `${what}: ${sizes}`, { hint });
    return [`${what}: ${sizes}: a text with one of the last tokens has no embedding`];
  }
  return rows - size < MOST_LACKING || Number.isNaN(rows) ? [] : [`${what}: ${sizes}: is it the model's own?`];
}

function readerWarnings(what: string, { lowerCase, tokens }: TokenizerFacts): string[] {
  const missing = WANTED_TOKENS.filter((token) => !tokens.has(token));
  return [
    ...(lowerCase ? [] : [`${what}: is cased, and ${READERS} lower-case every text: give the model token ids`]),
    ...(missing.length === 0 ? [] : [`${what}: has no ${missing.join(', ')}, which ${READERS} look for by name`]),
  ];
}
