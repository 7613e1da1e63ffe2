import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { listNames, MbertError } from '../errors.ts';
import { openTfrecord } from '../formats/tfrecord.ts';
import { hashFile } from '../io/file-hash.ts';
import { type ModelFile, withFile } from '../io/files.ts';
import { randomNumbers, shuffled } from '../solve/random-numbers.ts';
import type { ColumnNames, Columns } from './columns.ts';
import type { TokenRow } from './feeds.ts';
import { looksLikeSquad, readSampleText } from './sample-text.ts';
import { readSampleTable, type Sample, type SampleTableContent } from './samples.ts';
import { parseSquad } from './squad.ts';
import { npzRows, type PaddedRow, type PaddedRows, tfrecordRows } from './token-files.ts';
import type { Texts, Tokenizer } from './tokenizer.ts';

/** A sequence to calibrate or evaluate on. */
export interface TokenSample {
  /** Tokens without padding. */
  readonly row: TokenRow;
  readonly label: number | string | undefined;
  /** First and last token of a question's answer, where the file has them; [0, 0] is [CLS]: no answer. */
  readonly span?: readonly [start: number, end: number] | undefined;
  /** Texts that it was made from; files of tokens have none. */
  readonly texts: Texts | undefined;
}

export interface SampleFileOptions {
  /** Tokenizer of the model, or why it cannot be read; files of tokens need none. */
  readonly tokenizer: Tokenizer | MbertError | undefined;
  /** Id of padding in files of tokens without a mask. */
  readonly pad: number;
  /** Sequence length of the model, to which longer samples are cut. */
  readonly maxLength: number;
  /** Rows of the model's word embeddings. */
  readonly vocabRows: number;
  /** Rows of its token type embeddings; 1 makes second texts look like first ones. */
  readonly tokenTypes: number;
  /** Seed of a shuffle; without one samples come in file order. */
  readonly seed?: number | undefined;
  /** Columns of a file whose own names say nothing. */
  readonly columns?: ColumnNames;
}

/** A file of samples. They are encoded when they are taken, so that a few of many cost little. */
export interface SampleFile {
  readonly path: string;
  /** Number of samples that it holds. */
  readonly count: number;
  readonly sha256: string;
  /** Words for what the samples were taken from: the form of the file, and its columns. */
  readonly taken: string;
  /** Warnings for the user, worded `file: part: problem`. */
  readonly warnings: readonly string[];
  /** Encodes up to `count` samples from place `start` on: none behind the end. */
  take(start: number, count: number): TakenSamples;
}

interface TakenSamples {
  readonly samples: readonly TokenSample[];
  /** Number of samples that were longer than the model takes. */
  readonly truncated: number;
  /** Warnings for the user, worded `file: part: problem`. */
  readonly warnings: readonly string[];
}

/** Facts that a written model states of the samples that it was calibrated on. */
export interface SampleManifest {
  /** Name of the file without its folder. */
  readonly source: string;
  readonly sha256: string;
  /** Number of samples, the first of the file or of its shuffled order. */
  readonly count: number;
  readonly seed: number | null;
}

/** First bytes of a zip archive with something in it, `PK\3\4`. */
const ZIP_MAGIC = [0x50, 0x4b, 3, 4];

/** Most unknown words, as a share: with more the text is in another language, or the vocabulary is another model's. */
const MAX_UNKNOWN = 0.2;

/**
 * Opens samples of any format, told by content: zip (.npz), TFRecord with or without compression, SQuAD's JSON, else
 * lines of text, columns or JSON (see `parseSamples`). Of a file that is too large the beginning is read, which a warning
 * says. Throws USAGE where text is given without a tokenizer,
 * MALFORMED for what cannot be read, MISMATCH where the vocabulary is larger than the model's embeddings.
 */
export function openSamples(path: string, options: SampleFileOptions): SampleFile {
  return withFile(path, (file) => {
    const rows = tokenRows(file);
    const { count, read, warnings, taken, partBytes, ...facts }: EncodedFile = rows
      ? {
          count: rows.count,
          taken: 'sequences of token ids',
          read: (i) => fromPadded(rows.read(i), path, i, options),
          warnings: unusedColumns(path, options),
          partBytes: rows.partBytes,
        }
      : fromText(file, options);
    if (count === 0) throw new MbertError('MALFORMED', `${path}: holds no samples`);
    const order = options.seed === undefined ? undefined : shuffled(count, randomNumbers(options.seed));
    return {
      path,
      count,
      sha256: hashFile(createHash('sha256'), path).digest('hex'),
      taken,
      warnings: [...partWarnings(file, count, partBytes, options.seed), ...warnings],
      take(start, wanted) {
        const end = Math.min(count, start + wanted);
        const encoded: Encoded[] = [];
        for (let i = start; i < end; i++) encoded.push(read(order ? (order[i] as number) : i));
        const truncated = encoded.filter(({ isCut }) => isCut).length;
        return {
          samples: encoded.map(({ sample }) => sample),
          truncated,
          warnings: takenWarnings(path, encoded, { maxLength: options.maxLength, ...facts }),
        };
      },
    };
  });
}

/** Manifest to write into a model that was calibrated on the first `count` samples of a file. */
export function manifestOf({ path, sha256 }: SampleFile, count: number, seed: number | undefined): SampleManifest {
  return { source: basename(path), sha256, count, seed: seed ?? null };
}

interface EncodedFile {
  readonly count: number;
  readonly taken: string;
  readonly warnings: readonly string[];
  read(index: number): Encoded;
  /** Length that texts are cut to where the tokenizer allows less than the model. */
  readonly maxLength?: number;
  /** Id of words that the vocabulary does not have. */
  readonly unknown?: number | undefined;
  /** Bytes that were read of a file that is too large to be read whole. */
  readonly partBytes: number | undefined;
}

interface Encoded {
  readonly sample: TokenSample;
  readonly isCut: boolean;
}

function tokenRows(file: ModelFile): (PaddedRows & { readonly partBytes?: number | undefined }) | undefined {
  const head = file.read(0, Math.min(file.size, ZIP_MAGIC.length));
  if (ZIP_MAGIC.every((byte, i) => head[i] === byte)) return npzRows(file);
  const records = openTfrecord(file);
  return records && { ...tfrecordRows(records, file.path), partBytes: records.partBytes };
}

/** Warns where a file is too large to be read whole: whoever wants all of it must know. */
function partWarnings(
  { path, size }: ModelFile,
  count: number,
  partBytes: number | undefined,
  seed?: number,
): string[] {
  if (partBytes === undefined) return [];
  const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
  const order = seed === undefined ? '' : ', and only these are shuffled';
  return [`${path}: of its ${megabytes(size)} the first ${megabytes(partBytes)} are read, ${count} samples${order}`];
}

function fromText(file: ModelFile, options: SampleFileOptions): EncodedFile {
  const { tokenizer, vocabRows, tokenTypes } = options;
  const { path } = file;
  const { text, partBytes } = readSampleText(file);
  const { samples, form, columns } = readTexts(text, path, options.columns ?? {}, partBytes !== undefined);
  if (tokenizer === undefined) {
    throw new MbertError('USAGE', `${path}: is text, and the model has no vocabulary to read it with`, {
      hint: "put its tokenizer.json or vocab.txt into the model's folder, name it with --vocab where the command has that, or give token ids as .npz or TFRecord",
    });
  }
  if (tokenizer instanceof MbertError) throw tokenizer;
  const { vocabSize, unknown } = tokenizer;
  const maxLength = Math.min(options.maxLength, tokenizer.maxLength ?? Number.POSITIVE_INFINITY);
  if (vocabSize > vocabRows) {
    throw new MbertError('MISMATCH', `vocabulary: has ${vocabSize} tokens, the model's embeddings ${vocabRows} rows`, {
      hint: 'it is the vocabulary of another model',
    });
  }
  // Tables are often padded to a multiple of 128; a vocabulary that lacks more belongs to another model.
  const lacking = vocabRows - vocabSize;
  const warnings =
    lacking < 128 ? [] : [`vocabulary: has ${vocabSize} tokens, the model's embeddings ${vocabRows} rows`];
  if (columns === undefined) warnings.push(...unusedColumns(path, options));
  return {
    count: samples.length,
    taken: columns === undefined ? form : `${form}, ${columnsText(columns)}`,
    warnings,
    read: (i) => fromTexts(samples[i] as Sample, tokenizer, { maxLength, tokenTypes }),
    maxLength,
    unknown,
    partBytes,
  };
}

function readTexts(
  text: string,
  path: string,
  asked: ColumnNames,
  isPart: boolean,
): Omit<SampleTableContent, 'form'> & { form: string } {
  if (looksLikeSquad(text)) return { form: 'questions of SQuAD', columns: undefined, samples: parseSquad(text, path) };
  const content = readSampleTable(text, path, asked, isPart);
  return content.form === 'lines' ? { ...content, form: 'lines of text' } : content;
}

function columnsText({ texts: [text, pair], label }: Columns): string {
  const parts = [`text from ${text}`, pair && `pair from ${pair}`, label && `label from ${label}`];
  return parts.filter((part) => part !== undefined).join(', ');
}

/** Warns where columns were named for a file that has none. */
function unusedColumns(path: string, { columns: { text, pair, label } = {} }: SampleFileOptions): string[] {
  const flags = [text && '--text', pair && '--pair', label && '--label'].filter((flag) => flag !== undefined);
  return flags.length === 0
    ? []
    : [`${path}: has no columns: ${listNames(flags)} ${flags.length === 1 ? 'says' : 'say'} nothing about it`];
}

function fromTexts(
  { texts, label }: Sample,
  tokenizer: Tokenizer,
  { maxLength, tokenTypes }: Pick<SampleFileOptions, 'maxLength' | 'tokenTypes'>,
): Encoded {
  const whole = tokenizer.encode(texts);
  const isCut = whole.inputIds.length > maxLength;
  const row = isCut ? tokenizer.encode(texts, maxLength) : whole;
  return { isCut, sample: { row: tokenTypes > 1 ? row : withoutTypes(row), label, texts } };
}

function withoutTypes({ inputIds }: TokenRow): TokenRow {
  return { inputIds, tokenTypeIds: inputIds.map(() => 0) };
}

/** Takes the padding off a row and checks it against the model. */
function fromPadded(
  { inputIds, mask, tokenTypeIds, label, span }: PaddedRow,
  path: string,
  index: number,
  options: SampleFileOptions,
): Encoded {
  const fail = (code: 'MALFORMED' | 'MISMATCH', problem: string): never => {
    throw new MbertError(code, `${path}: sample ${index + 1}: ${problem}`);
  };
  const { pad } = options;
  const valid = (mask ? mask.findLastIndex((value) => value !== 0) : inputIds.findLastIndex((id) => id !== pad)) + 1;
  if (valid === 0) fail('MALFORMED', 'is all padding');
  if (mask?.slice(0, valid).includes(0)) fail('MALFORMED', 'has padding before its last token');
  const ids = inputIds.slice(0, valid);
  const types = tokenTypeIds?.slice(0, valid) ?? ids.map(() => 0);
  const odd = ids.find((id) => !(id >= 0 && id < options.vocabRows));
  if (odd !== undefined) fail('MISMATCH', `token ${odd} is none of the model's ${options.vocabRows}`);
  const oddType = types.find((type) => !(type >= 0 && type < options.tokenTypes));
  if (oddType !== undefined) fail('MISMATCH', `token type ${oddType} is none of the model's ${options.tokenTypes}`);
  const isCut = valid > options.maxLength;
  return {
    isCut,
    sample: {
      row: isCut
        ? { inputIds: cut(ids, options.maxLength), tokenTypeIds: cut(types, options.maxLength) }
        : { inputIds: ids, tokenTypeIds: types },
      label,
      // As in google-research/bert's features, an answer that was cut off is none.
      span: isCut && span && span[1] >= options.maxLength - 1 ? [0, 0] : span,
      texts: undefined,
    },
  };
}

/** Cuts a sequence but for its last token, [SEP], which the model knows every sequence to end with. */
function cut(values: readonly number[], length: number): number[] {
  return [...values.slice(0, length - 1), values.at(-1) as number];
}

function takenWarnings(
  path: string,
  encoded: readonly Encoded[],
  { maxLength, unknown: unknownId }: { readonly maxLength: number; readonly unknown?: number | undefined },
): string[] {
  const warnings: string[] = [];
  const cutCount = encoded.filter(({ isCut }) => isCut).length;
  if (cutCount > 0) warnings.push(`${path}: ${cutCount} of ${encoded.length} samples are cut to ${maxLength} tokens`);
  let tokens = 0;
  let unknown = 0;
  for (const { sample } of encoded) {
    if (sample.texts === undefined) continue;
    tokens += sample.row.inputIds.length;
    unknown += sample.row.inputIds.filter((id) => id === unknownId).length;
  }
  if (unknown > tokens * MAX_UNKNOWN) {
    const share = Math.round((100 * unknown) / tokens);
    warnings.push(
      `${path}: ${share} % of its words are not in the vocabulary: is it the model's own, and the text its language?`,
    );
  }
  return warnings;
}
