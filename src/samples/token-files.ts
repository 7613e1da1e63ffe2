import { listNames, MbertError } from '../errors.ts';
import { readNpz } from '../formats/npz.ts';
import { readExample, readRecords, type TfrecordFile } from '../formats/tfrecord.ts';
import type { ModelFile } from '../io/files.ts';
import { isFloat } from '../ir/op.ts';
import { sameShape, shapeText } from '../ir/shape.ts';
import { arrayOf, type Tensor } from '../ir/tensor.ts';

/** A padded sequence as a file holds it. */
export interface PaddedRow {
  readonly inputIds: readonly number[];
  /** Mask; where it is absent, padding shows by its id alone. */
  readonly mask: readonly number[] | undefined;
  /** Token types; where they are absent, all are 0. */
  readonly tokenTypeIds: readonly number[] | undefined;
  readonly label: number | undefined;
  /** First and last token of a question's answer. */
  readonly span: readonly [start: number, end: number] | undefined;
}

/** Rows that are read when they are asked for. */
export interface PaddedRows {
  readonly count: number;
  read(index: number): PaddedRow;
}

/** Names of the parts, transformers' and those of google-research's scripts. */
const NAMES = {
  inputIds: ['input_ids'],
  mask: ['attention_mask', 'input_mask'],
  tokenTypeIds: ['token_type_ids', 'segment_ids'],
  label: ['label', 'labels', 'label_ids'],
  start: ['start_positions', 'start_position'],
  end: ['end_positions', 'end_position'],
} as const;

type Part = keyof typeof NAMES;

const PARTS = Object.keys(NAMES) as Part[];

const HINT = `token files hold ${NAMES.inputIds[0]}, and beside it ${NAMES.mask[0]} and ${NAMES.tokenTypeIds[0]}`;

/** Rows of an .npz of integer arrays [samples, sequence] or [sequence]; labels are [samples]. */
export function npzRows(file: ModelFile): PaddedRows {
  const arrays = readNpz(file);
  const parts: { readonly [P in Part]?: Tensor } = Object.fromEntries(
    PARTS.flatMap((part) => {
      const name = NAMES[part].find((known) => arrays.has(known));
      return name === undefined ? [] : [[part, integerArray(name, arrays, file.path)]];
    }),
  );
  const { inputIds, mask, tokenTypeIds, label } = parts;
  if (inputIds === undefined) throw noIds(file.path, [...arrays.keys()]);
  if (inputIds.shape.length < 1 || inputIds.shape.length > 2) {
    throw new MbertError('MALFORMED', `${file.path}: input_ids: is ${shapeText(inputIds.shape)}`, {
      hint: 'it must be [samples, sequence]',
    });
  }
  for (const part of ['mask', 'tokenTypeIds'] as const) {
    const array = parts[part];
    if (array === undefined || sameShape(array.shape, inputIds.shape)) continue;
    const problem = `is ${shapeText(array.shape)}, input_ids is ${shapeText(inputIds.shape)}`;
    throw new MbertError('MALFORMED', `${file.path}: ${NAMES[part].join(' or ')}: ${problem}`);
  }
  const length = inputIds.shape.at(-1) as number;
  const count = inputIds.shape.length === 1 ? 1 : (inputIds.shape[0] as number);
  const ids = rowsOf(inputIds, length);
  const masks = mask && rowsOf(mask, length);
  const types = tokenTypeIds && rowsOf(tokenTypeIds, length);
  const perSample = (array: Tensor | undefined) =>
    array && array.shape.length === 1 && array.shape[0] === count ? rowsOf(array, 1) : undefined;
  const [labels, starts, ends] = [perSample(label), perSample(parts.start), perSample(parts.end)];
  return {
    count,
    read: (i) => ({
      inputIds: ids(i),
      mask: masks?.(i),
      tokenTypeIds: types?.(i),
      label: labels?.(i)[0],
      span: spanOf(starts?.(i)[0], ends?.(i)[0]),
    }),
  };
}

/** Rows of a TFRecord file of tf.train.Example, one sequence each. */
export function tfrecordRows(file: TfrecordFile, path: string): PaddedRows {
  const records = readRecords(file, path);
  return {
    count: records.length,
    read(i) {
      const what = `${path}: record ${i + 1}`;
      const features = readExample(records[i] as Uint8Array, what);
      const get = (part: Part) => NAMES[part].map((name) => features.get(name)).find((values) => values !== undefined);
      const inputIds = get('inputIds');
      if (inputIds === undefined) throw noIds(what, [...features.keys()]);
      for (const part of ['mask', 'tokenTypeIds'] as const) {
        const length = get(part)?.length ?? inputIds.length;
        if (length === inputIds.length) continue;
        const problem = `has ${length} numbers, input_ids has ${inputIds.length}`;
        throw new MbertError('MALFORMED', `${what}: ${NAMES[part].join(' or ')}: ${problem}`);
      }
      return {
        inputIds,
        mask: get('mask'),
        tokenTypeIds: get('tokenTypeIds'),
        label: get('label')?.[0],
        span: spanOf(get('start')?.[0], get('end')?.[0]),
      };
    },
  };
}

function spanOf(start: number | undefined, end: number | undefined): PaddedRow['span'] {
  return start === undefined || end === undefined ? undefined : [start, end];
}

function integerArray(name: string, arrays: ReadonlyMap<string, () => Tensor>, path: string): Tensor {
  const array = (arrays.get(name) as () => Tensor)();
  if (!isFloat(array.dtype)) return array;
  throw new MbertError('MALFORMED', `${path}: ${name}: is ${array.dtype}, not integers`, {
    hint: 'save it with .astype("int64")',
  });
}

function rowsOf(tensor: Tensor, length: number): (row: number) => number[] {
  const values = arrayOf(tensor);
  return (row) => Array.from(values.subarray(row * length, (row + 1) * length) as ArrayLike<number | bigint>, Number);
}

function noIds(what: string, names: readonly string[]): MbertError {
  const others = names.length === 0 ? 'it has no integers' : `it has ${listNames(names)}`;
  return new MbertError('MALFORMED', `${what}: has no input_ids; ${others}`, { hint: HINT });
}
