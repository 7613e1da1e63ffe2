import { MbertError } from '../../errors.ts';
import { tokenizerFilesAt } from '../../importers/tokenizer-files.ts';
import type { Span } from '../../metrics/task-metrics.ts';
import type { Task } from '../../models/index.ts';
import { classReader } from '../../opened/class-labels.ts';
import { fittedTexts } from '../../opened/fitted-texts.ts';
import { hasVocabulary } from '../../opened/model-tokenizer.ts';
import type { ColumnNames } from '../../samples/columns.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import type { TokenSample } from '../../samples/open-samples.ts';
import { randomRows } from '../../samples/token-sequences.ts';
import { seenWarnings } from '../evaluate/fitted-texts.ts';
import { rowReader } from '../evaluate/row-reader.ts';
import type { Side } from './sides.ts';

/** Token sequences that the models are run on. */
export interface Inputs {
  readonly rows: readonly TokenRow[];
  readonly labels: Labels | undefined;
  /** Why labels of the file are not read; undefined where they are, and where it has none. */
  readonly unread?: string | undefined;
  /** Texts that the rows were made from; undefined for sequences of tokens. */
  readonly texts: readonly (readonly string[] | undefined)[] | undefined;
  /** Names of the classes, where a model has them. */
  readonly classNames: readonly string[] | undefined;
  /** Path of the file of samples; null for generated sequences. */
  readonly data: string | null;
  readonly seed: number | null;
  readonly pad: number;
  readonly mask: number | undefined;
  readonly warnings: readonly string[];
}

/** The right answers, one for each row. */
export type Labels =
  | { readonly kind: 'classes'; readonly values: readonly number[]; readonly classes: number }
  | { readonly kind: 'numbers'; readonly values: readonly number[] }
  | { readonly kind: 'spans'; readonly values: readonly Span[] };

/** Options of `readInputs`. */
export interface InputOptions {
  readonly data: string | undefined;
  readonly samples: number | undefined;
  readonly seed: number | undefined;
  readonly vocab: string | undefined;
  /** Length that the models are fixed to, in tokens; undefined where they take any. */
  readonly length: number | undefined;
  readonly task: Task | undefined;
  readonly columns?: ColumnNames;
  /** Hears what the file is read as. */
  readonly note?: (text: string) => void;
}

const DEFAULT_SEED = 1;
const RANDOM_ROWS = 64;
/** Longest random sequence, in tokens: longer ones show nothing new and take time. */
const RANDOM_LENGTH = 64;

/** Reads `--data`, or makes sequences from a seed. Throws what the readers of samples throw. */
export function readInputs(sides: readonly Side[], options: InputOptions): Inputs {
  const positions = Math.min(...sides.map(({ model }) => model.maxPositions));
  if (options.length !== undefined && options.length > positions) {
    throw new MbertError('USAGE', `--sequence-length ${options.length}: a model has ${positions} positions`);
  }
  // A graph without a word table does not say how many words there are; the other model's graph may.
  const vocabRows = Math.min(
    ...sides.map((side) => side.vocabRows).filter((rows) => rows > 1),
    Number.MAX_SAFE_INTEGER,
  );
  const tokenTypes = Math.min(...sides.map((side) => side.tokenTypes));
  return options.data === undefined
    ? randomInputs(options, { vocabRows, tokenTypes, positions, pad: padOf(sides) })
    : dataInputs(sides, options.data, options, { vocabRows, positions });
}

/** The id of padding; a graph without a config beside it does not say which, the other one may. */
function padOf(sides: readonly Side[]): number {
  return Math.max(...sides.map(({ model }) => model.pad));
}

function randomInputs(
  { samples = RANDOM_ROWS, seed = DEFAULT_SEED, length }: InputOptions,
  model: {
    readonly vocabRows: number;
    readonly tokenTypes: number;
    readonly positions: number;
    readonly pad: number;
  },
): Inputs {
  const rows = randomRows({
    count: samples,
    length: length ?? Math.min(RANDOM_LENGTH, model.positions),
    seed,
    ...(model.vocabRows < Number.MAX_SAFE_INTEGER && { vocabSize: model.vocabRows }),
    tokenTypes: model.tokenTypes,
    pad: model.pad,
  });
  return {
    rows,
    labels: undefined,
    texts: undefined,
    classNames: undefined,
    data: null,
    seed,
    pad: model.pad,
    mask: undefined,
    warnings: [],
  };
}

function dataInputs(
  sides: readonly Side[],
  data: string,
  options: InputOptions,
  { vocabRows, positions }: { readonly vocabRows: number; readonly positions: number },
): Inputs {
  const { vocab: path, seed, samples: count, length, task, columns, note } = options;
  // The smallest table is the one that ids must fit; a vocabulary may be in either.
  const smallest = sides.find((side) => side.vocabRows === vocabRows) ?? (sides[0] as Side);
  const withWords = sides.find(({ model }) => hasVocabulary(model.tokenizer)) ?? smallest;
  const tokenizer = path === undefined ? undefined : tokenizerFilesAt(path);
  const maxLength = length ?? positions;
  const reader = rowReader(withWords.model, smallest.graph, { maxLength, tokenizer, seed, columns, note });
  const file = reader.open(data, 'measure');
  const { samples, warnings } = file.take(0, count ?? file.count);
  const unread = unreadLabels(samples, data, sides);
  return {
    rows: samples.map(({ row }) => row),
    labels: readLabels(samples, data, task, sides),
    texts: samples.map(({ texts }) => texts),
    classNames: classNamesOf(sides),
    data,
    seed: seed ?? null,
    pad: reader.tokenizer.pad,
    mask: reader.tokenizer.mask,
    unread,
    warnings: [
      ...file.warnings,
      ...warnings,
      ...(unread === undefined ? [] : [unread]),
      ...sides.flatMap(({ path, model }) => seenWarnings({ path, fitted: fittedTexts(model) }, data, reader, samples)),
    ],
  };
}

/** True where any number of labels applies to a text: the one that a file gives it says nothing about the others. */
function hasManyLabels(sides: readonly Side[]): boolean {
  return sides.some(({ model }) => model.logitsKind === 'multi-label');
}

function unreadLabels(samples: readonly TokenSample[], path: string, sides: readonly Side[]): string | undefined {
  if (!hasManyLabels(sides) || samples[0]?.label === undefined) return undefined;
  return `${path}: its labels are not read: any number of the model's labels applies to a text, the file gives one`;
}

/** Reads labels of the kind that the task has; undefined where there are none that can be read. */
function readLabels(
  samples: readonly TokenSample[],
  path: string,
  task: Task | undefined,
  sides: readonly Side[],
): Labels | undefined {
  if (task === 'qa') return readSpans(samples, path);
  if (hasManyLabels(sides)) return undefined;
  const output = sides[0]?.graph.outputs[0]?.node.type.shape ?? [];
  const isClassifier = task === 'sequence-classification' || task === 'next-sentence';
  if (!isClassifier || output.length !== 2 || samples[0]?.label === undefined) return undefined;
  const classes = Number(output[1]);
  const read = classes === 1 ? numberOf : classReader(classes, classNamesOf(sides));
  const values = samples.map(({ label }, i) => {
    const what = `${path}: sample ${i + 1}`;
    if (label === undefined) throw new MbertError('MISMATCH', `${what}: has no label, the first one has`);
    return read(label, what);
  });
  return classes === 1 ? { kind: 'numbers', values } : { kind: 'classes', values, classes };
}

function classNamesOf(sides: readonly Side[]): readonly string[] | undefined {
  return sides.find(({ model }) => model.labels)?.model.labels;
}

function numberOf(label: number | string, what: string): number {
  if (typeof label === 'number' && Number.isFinite(label)) return label;
  throw new MbertError('MISMATCH', `${what}: label ${label}: is no number, and the model is a regression`);
}

function readSpans(samples: readonly TokenSample[], path: string): Labels | undefined {
  if (samples[0]?.span === undefined) return undefined;
  const values = samples.map(({ span, row }, i): Span => {
    const what = `${path}: sample ${i + 1}`;
    if (span === undefined) throw new MbertError('MISMATCH', `${what}: has no answer, the first one has`);
    const [start, end] = span;
    if (start >= 0 && end >= start && end < row.inputIds.length) return span;
    throw new MbertError('MISMATCH', `${what}: its answer is tokens ${start} to ${end} of ${row.inputIds.length}`);
  });
  return { kind: 'spans', values };
}
