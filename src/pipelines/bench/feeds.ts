import { MbertError } from '../../errors.ts';
import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import { tokenInput } from '../../ir/names.ts';
import { sizeOf } from '../../ir/shape.ts';
import { convertTensor, type Tensor, tensorOf } from '../../ir/tensor.ts';
import { hasVocabulary, tokenizerOf } from '../../opened/model-tokenizer.ts';
import { tokenizerOrError } from '../../opened/open-tokenizer.ts';
import type { RuntimeSession, TensorInfo } from '../../runtimes/runtime.ts';
import type { ColumnNames } from '../../samples/columns.ts';
import { feedsOf, type TokenRow } from '../../samples/feeds.ts';
import { openSamples } from '../../samples/open-samples.ts';
import { randomSequences } from '../../samples/token-sequences.ts';
import type { BenchModel } from './models.ts';

/** Source of the token sequences that models are fed. */
export interface BenchFeedOptions {
  readonly sequenceLength: number | undefined;
  readonly batch: number | undefined;
  /** Texts in place of random tokens. */
  readonly data: string | undefined;
  /** In place of the models' own. */
  readonly tokenizer: TokenizerFiles | undefined;
  readonly seed: number;
  readonly columns: ColumnNames;
  /** Hears what texts are read as. */
  readonly note: (text: string) => void;
}

/** Input tensors by name. */
export type Feeds = ReadonlyMap<string, Tensor>;

/** A loaded model that is to be timed. */
export interface TimedModel {
  readonly model: BenchModel;
  readonly session: RuntimeSession;
}

/** Length where no file says another one: that of sentences in BERT's own training. */
const DEFAULT_LENGTH = 128;
/**
 * Answers to a question where no file says another number: SWAG and RACE, the usual multiple-choice sets, have four.
 */
const CHOICES = 4;

/**
 * The shape of each model's inputs: the file's own sizes, and what the options say where it leaves them open. Throws
 * UNSUPPORTED for inputs that are no token sequences, USAGE for sizes that a file does not take.
 */
export function shapesOf(loaded: readonly TimedModel[], options: BenchFeedOptions): number[][] {
  // A file that takes any length runs at that of the one beside it.
  const fixed = loaded.map(({ session }) => session.inputs[0]?.shape.at(-1)).find((dim) => typeof dim === 'number');
  return loaded.map(({ model, session }) => {
    const [first, ...others] = session.inputs;
    if (first === undefined || first.shape.length < 2 || others.some(({ shape }) => !isAlike(shape, first.shape))) {
      throw new MbertError('UNSUPPORTED', `${model.name}: inputs: are no token sequences of one shape`, {
        hint: 'bench feeds ids, masks and token types',
      });
    }
    return first.shape.map((dim, axis) => {
      const isLength = axis === first.shape.length - 1;
      const requested = isLength ? options.sequenceLength : axis === 0 ? options.batch : undefined;
      if (typeof dim === 'number' && dim > 0)
        return checkFixed(model, isLength ? 'sequence-length' : 'batch', dim, requested);
      if (!isLength) return requested ?? (axis === 0 ? 1 : CHOICES);
      const length = requested ?? (fixed as number | undefined) ?? Math.min(DEFAULT_LENGTH, model.maxPositions);
      if (length <= model.maxPositions) return length;
      throw new MbertError('USAGE', `--sequence-length: ${length} is over the ${model.maxPositions} of ${model.name}`);
    });
  });
}

function isAlike(a: TensorInfo['shape'], b: TensorInfo['shape']): boolean {
  return (
    a.length === b.length && a.every((dim, i) => typeof dim === 'string' || typeof b[i] === 'string' || dim === b[i])
  );
}

function checkFixed(model: BenchModel, flag: string, dim: number, requested: number | undefined): number {
  if (requested === undefined || requested === dim) return dim;
  throw new MbertError('USAGE', `--${flag}: ${model.name} is fixed to ${dim}`, {
    hint: 'leave the option out, or write the file once more with another size',
  });
}

/** The inputs of each model in each round: the same tokens for all models, as far as they fit. */
export function feedsFor(
  loaded: readonly TimedModel[],
  shapes: readonly (readonly number[])[],
  rounds: number,
  options: BenchFeedOptions,
): {
  readonly feeds: readonly (readonly Feeds[])[];
  /** Number of texts that are fed to a model; null for random tokens. */
  readonly texts: number | null;
  readonly warnings: readonly string[];
} {
  const texts = options.data === undefined ? undefined : readTexts(options.data, loaded, shapes, options);
  const vocabSize = Math.min(...loaded.map(({ model }) => model.vocabRows));
  const tokenTypes = Math.min(...loaded.map(({ model }) => model.tokenTypes));
  const pad = padOf(loaded);
  const feeds = loaded.map(({ session }, n) =>
    Array.from({ length: rounds }, (_, round) => {
      const shape = shapes[n] as readonly number[];
      const all = texts
        ? texts.feeds(shape, typeof session.inputs[0]?.shape.at(-1) === 'number', round)
        : randomSequences({ shape, seed: options.seed + round, vocabSize, tokenTypes, pad });
      return new Map(session.inputs.map((input) => [input.name, feedOf(input, all)]));
    }),
  );
  const most = rounds * Math.max(...shapes.map((shape) => sizeOf(shape.slice(0, -1))));
  return { feeds, texts: texts ? Math.min(most, texts.count) : null, warnings: texts?.warnings ?? [] };
}

/**
 * The tensor for an input, found by the name that the file has for it and converted to its dtype: google-research says
 * input_mask and segment_ids.
 */
function feedOf({ name, dtype }: TensorInfo, all: Feeds): Tensor {
  const ids = all.get('input_ids') as Tensor;
  return convertTensor(
    /position/i.test(name) ? positionsLike(ids.shape) : (all.get(tokenInput(name)) as Tensor),
    dtype,
  );
}

function positionsLike(shape: readonly number[]): Tensor {
  const length = shape.at(-1) ?? 1;
  return tensorOf(
    'i32',
    shape,
    Int32Array.from({ length: sizeOf(shape) }, (_, i) => i % length),
  );
}

/** Gives the id of padding; a file without a config beside it does not say which, another one may. */
function padOf(loaded: readonly TimedModel[]): number {
  return Math.max(...loaded.map(({ model }) => model.pad));
}

/** Most texts that are read: more only repeat what the first ones say of speed. */
const MAX_TEXTS = 1024;

function readTexts(
  path: string,
  loaded: readonly TimedModel[],
  shapes: readonly (readonly number[])[],
  { tokenizer: given, sequenceLength, columns, note }: BenchFeedOptions,
) {
  const owner = loaded.find(({ model }) => hasVocabulary(model.tokenizer))?.model;
  const tokenizer = tokenizerOrError(tokenizerOf(owner ?? { tokenizer: {} }, given));
  const pad = (tokenizer instanceof MbertError ? undefined : tokenizer?.pad) ?? padOf(loaded);
  const file = openSamples(path, {
    tokenizer,
    pad,
    maxLength: Math.min(...shapes.map((shape) => shape.at(-1) as number)),
    vocabRows: Math.min(...loaded.map(({ model }) => model.vocabRows)),
    tokenTypes: Math.min(...loaded.map(({ model }) => model.tokenTypes)),
    columns,
  });
  note(`${path}: ${file.count} samples, ${file.taken}`);
  const { samples, warnings } = file.take(0, MAX_TEXTS);
  const rows = samples.map(({ row }) => row);
  return {
    count: rows.length,
    warnings: [...file.warnings, ...warnings],
    /** Gives texts in order, round after round. A file that takes any length gets the texts as long as they are. */
    feeds(shape: readonly number[], isFixed: boolean, round: number): Feeds {
      const count = sizeOf(shape.slice(0, -1));
      const taken = Array.from({ length: count }, (_, i) => rows[(round * count + i) % rows.length] as TokenRow);
      const longest = Math.max(...taken.map(({ inputIds }) => inputIds.length));
      const length = isFixed || sequenceLength !== undefined ? (shape.at(-1) as number) : longest;
      return feedsOf(taken, { dtype: 'i32', shape: [...shape.slice(0, -1), length], pad });
    },
  };
}
