import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import type { TokenRow } from '../../calibration/feeds.ts';
import { readSamples, type Sample } from '../../calibration/samples.ts';
import { randomNumbers } from '../../calibration/token-sequences.ts';
import { readWordPiece, type WordPiece } from '../../calibration/wordpiece.ts';
import { MbertError } from '../../errors.ts';
import type { Graph } from '../../graph.ts';
import type { OpenedModel } from '../opened-model.ts';

/** Samples as the model takes them. */
export interface Rows {
  readonly path: string;
  readonly rows: readonly TokenRow[];
  /** The class of each row, where the file has labels. */
  readonly labels: readonly number[] | undefined;
  /** How many texts were cut to the sequence length. */
  readonly cut: number;
}

export interface RowReader {
  readonly tokenizer: WordPiece;
  read(path: string): Rows;
}

/**
 * Reads files of samples with the model's own vocabulary. Throws USAGE where the model has none, MISMATCH where the
 * vocabulary has more tokens than the embedding table.
 */
export function rowReader(
  model: OpenedModel,
  graph: Graph,
  options: {
    readonly maxLength: number;
    readonly vocab: { readonly what: string; readonly bytes: Uint8Array } | undefined;
  },
): RowReader {
  const vocab = options.vocab ?? (model.vocabulary && { what: 'vocab.txt', bytes: model.vocabulary });
  if (!vocab) {
    throw new MbertError('USAGE', `${graph.name}: has no vocabulary, and samples are text`, {
      hint: 'put vocab.txt beside the model, or give --vocab FILE',
    });
  }
  const settings = new TextEncoder().encode(JSON.stringify({ do_lower_case: model.lowerCase }));
  const tokenizer = readWordPiece(vocab, { what: 'tokenizer_config.json', bytes: settings });
  const table = wordRows(graph);
  if (table !== undefined && tokenizer.vocabSize > table) {
    throw new MbertError(
      'MISMATCH',
      `${vocab.what}: has ${tokenizer.vocabSize} tokens, the model's embedding table has ${table}`,
      { hint: 'this is the vocabulary of another model' },
    );
  }
  return { tokenizer, read: (path) => encode(path, readSamples(path), tokenizer, options.maxLength, model) };
}

/** The rows of the table that token ids are looked up in. */
function wordRows(graph: Graph): number | undefined {
  for (const node of graph.nodes()) {
    const [table, ids] = node.inputs;
    if (node.op !== 'gather' || table?.op !== 'constant') continue;
    const source = ids?.op === 'reshape' ? ids.inputs[0] : ids;
    if (source?.op === 'input' && source.name === 'input_ids') return table.tensor.shape[0];
  }
  return undefined;
}

function encode(
  path: string,
  samples: readonly Sample[],
  tokenizer: WordPiece,
  maxLength: number,
  { labels: names, task }: OpenedModel,
): Rows {
  let cut = 0;
  const rows = samples.map(({ texts }) => {
    const row = tokenizer.encode(texts, maxLength);
    // A row that fills the length may have been cut; only then is it worth encoding it whole.
    if (row.inputIds.length === maxLength && tokenizer.encode(texts).inputIds.length > maxLength) cut++;
    return row;
  });
  const isLabelled = samples[0]?.label !== undefined && task?.startsWith('sequence-') === true;
  const labels = isLabelled
    ? samples.map(({ label }, i) => classOf(label, names, `${path}: sample ${i + 1}`))
    : undefined;
  return { path, rows, labels, cut };
}

function classOf(label: number | string | undefined, names: readonly string[] | undefined, what: string): number {
  if (typeof label === 'number' && Number.isInteger(label) && label >= 0 && label < (names?.length ?? label + 1)) {
    return label;
  }
  const place = names?.indexOf(String(label)) ?? -1;
  if (place >= 0) return place;
  throw new MbertError('MISMATCH', `${what}: label ${label}: is none of the model's ${names?.length ?? 0} classes`, {
    hint: names ? `they are 0 to ${names.length - 1}, or ${names.join(', ')}` : 'labels are class numbers from 0',
  });
}

/** Two rows with one key are one text to the model. */
export function rowKey({ inputIds, tokenTypeIds }: TokenRow): string {
  return `${inputIds.join()} ${tokenTypeIds.indexOf(1)}`;
}

/** What a model file says about its calibration: the same rows give the same text. */
export function describeRows(path: string, rows: readonly TokenRow[], seed: number | undefined) {
  const hash = createHash('sha256');
  for (const row of rows) hash.update(`${rowKey(row)}\n`);
  return {
    source: basename(path),
    samples: rows.length,
    ...(seed !== undefined && { seed }),
    sha256: hash.digest('hex'),
  };
}

/** The values in an order that depends on the seed alone (Fisher-Yates). */
export function shuffled<T>(values: readonly T[], seed: number): T[] {
  const result = [...values];
  const random = randomNumbers(seed);
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}
