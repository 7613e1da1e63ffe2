import { MbertError } from '../errors.ts';
import { isObject, jsonText, parseJson } from '../formats/json.ts';
import { decodeText } from '../io/bytes.ts';
import { withFile } from '../io/files.ts';
import type { Tensor } from '../ir/tensor.ts';
import { feedsOf } from './feeds.ts';
import type { Texts, Tokenizer } from './tokenizer.ts';

/** A text or pair of texts, with its label where the file has labels. */
export interface Sample {
  readonly texts: Texts;
  readonly label?: number | string;
}

/** Text columns that data sets have, pairs first: a row with question and sentence is a pair. */
const COLUMNS = [
  ['sentence1', 'sentence2'],
  ['question1', 'question2'],
  ['question', 'context'],
  ['question', 'sentence'],
  ['query', 'passage'],
  ['anchor', 'positive'],
  ['text', 'text_pair'],
  ['premise', 'hypothesis'],
  ['sentence'],
  ['text'],
] as const;

const HINT = `text columns are ${COLUMNS.map((names) => names.join(' and ')).join(', or ')}; label is optional`;

/** Most bytes of a text, half of the longest string that V8 makes. */
const MAX_TEXT_BYTES = 2 ** 28;

/** Reads a file of samples, see `parseSamples`. */
export function readSamples(path: string): Sample[] {
  return withFile(path, (file) => {
    if (file.size > MAX_TEXT_BYTES)
      throw new MbertError('UNSUPPORTED', `${path}: ${file.size} bytes are over ${MAX_TEXT_BYTES}`);
    return parseSamples(decodeText(file.read(0, file.size), path), path);
  });
}

/**
 * Reads samples in file order from one of three formats, told by the first line that is not empty: a JSON object a
 * line; tab separated columns under a header that names a text column (no quoting, as in GLUE); else one text a line.
 * Empty lines do not count. Throws MALFORMED for bad rows, as `file: line N: problem`.
 */
export function parseSamples(text: string, what: string): Sample[] {
  if (exceedsLines(text)) {
    throw new MbertError('UNSUPPORTED', `${what}: has more than ${MAX_LINES} lines`, {
      hint: 'give a part of the file: some hundred samples are enough',
    });
  }
  const lines = text.split(/\r\n|\n|\r/).map((line, i): Line => ({ text: line, file: what, number: i + 1 }));
  const [first, ...rest] = lines.filter((line) => line.text.trim() !== '');
  if (first === undefined) throw new MbertError('MALFORMED', `${what}: holds no samples`);
  const samples = parseLines(first, rest);
  if (samples.length === 0) throw new MbertError('MALFORMED', `${what}: holds no samples`);
  return samples;
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

interface Line {
  readonly text: string;
  readonly file: string;
  readonly number: number;
}

/** Name of a line in errors. */
function lineName({ file, number }: Line): string {
  return `${file}: line ${number}`;
}

/** Most lines: MNLI, the largest set of GLUE, has 392,702. Each takes a hundred bytes, whatever is on it. */
const MAX_LINES = 1_000_000;

function exceedsLines(text: string): boolean {
  let lines = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if ((code === LINE_FEED || code === CARRIAGE_RETURN) && ++lines > MAX_LINES) return true;
  }
  return false;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

function parseLines(first: Line, rest: readonly Line[]): Sample[] {
  if (first.text.trimStart().startsWith('{')) return sameLabels([first, ...rest], parseJsonRow);
  const header = first.text.split('\t');
  if (findColumns((name) => header.includes(name)) !== undefined) {
    return sameLabels(rest, (line) => parseTabRow(line, header));
  }
  if (header.length === 1) return [first, ...rest].map((line) => ({ texts: [line.text] }));
  throw new MbertError('MALFORMED', `${lineName(first)}: is a header without a text column`, { hint: HINT });
}

/** Parses rows, of which all must have a label or none: with some, a metric would be of an unknown part of the data. */
function sameLabels(lines: readonly Line[], parse: (line: Line) => Sample): Sample[] {
  const samples = lines.map(parse);
  const isLabelled = samples[0]?.label !== undefined;
  const odd = samples.findIndex(({ label }) => (label !== undefined) !== isLabelled);
  if (odd < 0) return samples;
  const problem = isLabelled ? 'has no label, others have' : 'has a label, others have none';
  throw new MbertError('MALFORMED', `${lineName(lines[odd] as Line)}: ${problem}`);
}

function parseTabRow(line: Line, header: readonly string[]): Sample {
  const { text } = line;
  const what = lineName(line);
  const cells = text.split('\t');
  if (cells.length !== header.length) {
    throw new MbertError('MALFORMED', `${what}: has ${cells.length} columns, the header has ${header.length}`);
  }
  const row = new Map(header.map((name, i) => [name, cells[i] ?? '']));
  const label = row.get('label');
  if (label === '') throw new MbertError('MALFORMED', `${what}: label is empty`);
  const texts = textsOf((name) => row.get(name), what);
  if (label === undefined) return { texts };
  return { texts, label: /^-?\d+(\.\d+)?$/.test(label) ? Number(label) : label };
}

function parseJsonRow(line: Line): Sample {
  const { text } = line;
  const what = lineName(line);
  const row = parseJson(text, what);
  if (!isObject(row)) throw new MbertError('MALFORMED', `${what}: is ${jsonText(row)}, not an object`);
  const texts = textsOf((name) => row.get(name), what);
  const label = row.get('label');
  if (label === undefined) return { texts };
  if (typeof label === 'number' || typeof label === 'string') return { texts, label };
  throw new MbertError('MALFORMED', `${what}: label is ${jsonText(label)}, not a number or text`);
}

function textsOf(get: (column: string) => unknown, what: string): Texts {
  const names = findColumns((name) => get(name) !== undefined);
  if (names === undefined) throw new MbertError('MALFORMED', `${what}: has no text`, { hint: HINT });
  const texts = names.map((name) => {
    const text = get(name);
    if (typeof text === 'string' && text.trim() !== '') return text;
    throw new MbertError('MALFORMED', `${what}: ${name} is ${typeof text === 'string' ? 'empty' : 'no text'}`);
  });
  const [a = '', b] = texts;
  return b === undefined ? [a] : [a, b];
}

function findColumns(has: (name: string) => boolean): readonly string[] | undefined {
  return COLUMNS.find((names) => names.every(has));
}
