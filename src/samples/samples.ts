import { malformed } from '../errors.ts';
import { jsonText } from '../formats/json.ts';
import { withFile } from '../io/files.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { ColumnNames, Columns } from './columns.ts';
import { feedsOf } from './feeds.ts';
import { readTable, type TableForm, type TableRow } from './sample-table.ts';
import { readSampleText } from './sample-text.ts';
import type { Texts, Tokenizer } from './tokenizer.ts';

/** A text or pair of texts, with its label where the file has labels. */
export interface Sample {
  readonly texts: Texts;
  readonly label?: number | string;
}

/** Samples of a text, with what they were taken from. */
export interface SampleTableContent {
  readonly form: TableForm;
  /** Columns of the first row; undefined for lines. */
  readonly columns: Columns | undefined;
  readonly samples: readonly Sample[];
}

/** Reads a file of samples, or the beginning of one that is too large, see `parseSamples`. */
export function readSamples(path: string, columns: ColumnNames = {}): Sample[] {
  return withFile(path, (file) => {
    const { text, partBytes } = readSampleText(file);
    return [...readSampleTable(text, path, columns, partBytes !== undefined).samples];
  });
}

/**
 * Reads samples in file order from a text: JSON objects or texts in an array, JSON objects a line, separated values
 * under a header (TSV without quoting, as GLUE has it; CSV as RFC 4180 has it), else one text a line. `columns` names
 * those that are not known by their names. Throws MALFORMED for bad rows, as `file: line N: problem`.
 */
export function parseSamples(text: string, what: string, columns: ColumnNames = {}): Sample[] {
  return [...readSampleTable(text, what, columns).samples];
}

/** Reads samples like `parseSamples`, of a file or of its beginning, and says what was taken for what. */
export function readSampleTable(text: string, what: string, columns: ColumnNames, isPart = false): SampleTableContent {
  const table = readTable(text, what, columns, isPart);
  if (table.form === 'lines') {
    return { form: 'lines', columns: undefined, samples: table.lines.map((line) => ({ texts: [line] })) };
  }
  if (table.rows.length === 0) throw malformed(what, 'holds no samples');
  return { form: table.form, columns: table.rows[0]?.columns, samples: sameLabels(table.rows) };
}

/**
 * Makes `input_ids`, `attention_mask` and `token_type_ids` [1, sequence] of one sample: `length` cuts and pads, without
 * it
 * `maxLength` cuts.
 */
export function encodeSample(
  { texts }: Sample,
  tokenizer: Tokenizer,
  options: { readonly dtype: 'i32' | 'i64'; readonly length?: number; readonly maxLength?: number },
): Map<string, Tensor> {
  const row = tokenizer.encode(texts, options.length ?? options.maxLength);
  const shape = [1, options.length ?? row.inputIds.length];
  return feedsOf([row], { dtype: options.dtype, shape, pad: tokenizer.pad ?? 0 });
}

/** Parses rows, of which all must have a label or none: with some, a metric would be of an unknown part of the data. */
function sameLabels(rows: readonly TableRow[]): Sample[] {
  const samples = rows.map(sampleOf);
  const isLabelled = samples[0]?.label !== undefined;
  const odd = samples.findIndex(({ label }) => (label !== undefined) !== isLabelled);
  if (odd < 0) return samples;
  const problem = isLabelled ? 'has no label, others have' : 'has a label, others have none';
  throw malformed(rows[odd]?.what ?? '', problem);
}

function sampleOf(row: TableRow): Sample {
  const { columns, what } = row;
  const [a = '', b] = columns.texts.map((name) => textOf(row, name));
  const texts: Texts = b === undefined ? [a] : [a, b];
  const label = columns.label === undefined ? undefined : row.get(columns.label);
  if (label === undefined) return { texts };
  if (label === '') throw malformed(what, `${columns.label} is empty`);
  if (typeof label === 'number') return { texts, label };
  if (typeof label === 'boolean') return { texts, label: Number(label) };
  if (typeof label !== 'string') throw malformed(what, `label is ${jsonText(label)}, not a number or text`);
  return { texts, label: /^-?\d+(\.\d+)?$/.test(label) ? Number(label) : label };
}

function textOf({ what, get }: TableRow, name: string): string {
  const text = get(name);
  if (typeof text === 'string' && text.trim() !== '') return text;
  throw malformed(what, `${name} is ${typeof text === 'string' ? 'empty' : 'no text'}`);
}
