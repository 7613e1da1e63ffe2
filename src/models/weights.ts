import { listNames, MbertError, nearest } from '../errors.ts';
import { isFloat } from '../ir/op.ts';
import { sameShape, shapeText, sizeOf } from '../ir/shape.ts';
import { convertTensor, type Tensor } from '../ir/tensor.ts';
import { type Problem, throwProblems } from './config.ts';
import type { NamedCheckpoint } from './names/index.ts';
import { finiteTensor, isZero } from './values.ts';

/**
 * The weights of a checkpoint by name. Every weight ends up used, skipped or unused; what is missing or misshapen is
 * gathered, so that `finish` can say it all at once, and a stand-in that is never read takes its place meanwhile.
 */
export interface Weights {
  /** Path of the file, for messages. */
  readonly path: string;
  has(name: string): boolean;
  /** Shape of a weight that the file holds. */
  shapeOf(name: string): readonly number[] | undefined;
  /** Takes a float tensor of that shape in its stored dtype. Reading it throws where it holds NaN or infinity. */
  take(name: string, shape: readonly number[]): Tensor;
  /** Marks weights under this name as known and never applied: they are unused without a warning. */
  skip(name: string): void;
  /** Adds a problem that makes a weight of the right shape unusable. */
  refuse(name: string, problem: string): void;
  /** Counts the problems so far. */
  problemCount(): number;
  /**
   * Throws for weights that are missing or misshapen. Else tells what is left over, and warns of what should not be.
   */
  finish(hint?: string): { readonly unused: readonly string[]; readonly warnings: readonly string[] };
}

export function openWeights({ path, tensors, fileName }: NamedCheckpoint): Weights {
  const used = new Set<string>();
  const skipped = new Set<string>();
  const missing: { readonly name: string; readonly shape: readonly number[] }[] = [];
  const misfits: Problem[] = [];
  const leftOver = () => [...tensors.keys()].filter((name) => !used.has(name) && !isKnown(name, skipped));
  return {
    path,
    has: (name) => tensors.has(name),
    shapeOf: (name) => tensors.get(name)?.shape,
    take(name, shape) {
      const tensor = tensors.get(name);
      used.add(name);
      if (tensor === undefined) {
        missing.push({ name: fileName(name), shape });
        return standIn(shape);
      }
      const problem = misfit(tensor, shape);
      if (problem !== undefined) {
        misfits.push({ code: 'MISMATCH', line: `${path}: ${fileName(name)}: ${problem}` });
        return standIn(shape);
      }
      // Eight-byte weights have no use at run time, and no exporter should have to know them.
      return finiteTensor(`${path}: ${fileName(name)}`, tensor.dtype === 'f64' ? convertTensor(tensor, 'f32') : tensor);
    },
    skip: (name) => void skipped.add(name),
    refuse: (name, problem) => void misfits.push({ code: 'MISMATCH', line: `${path}: ${fileName(name)}: ${problem}` }),
    problemCount: () => missing.length + misfits.length,
    finish(hint) {
      const unused = leftOver().map(fileName);
      const shapes = new Map([...tensors].map(([name, { shape }]) => [fileName(name), shape]));
      const problems = [...missingProblem(path, missing), ...misfits];
      const relative = missing.slice(0, 1).flatMap(({ name, shape }) => relativeOf(name, shape, unused, shapes));
      const unexpected =
        missing.length > 0 && unused.length > 0 ? [`the file has unexpected ${listNames(unused)}`] : [];
      const hints = [...(hint === undefined ? [] : [hint]), ...relative, ...unexpected];
      throwProblems(problems, hints.length > 0 ? hints.join('; ') : undefined);
      const warnings: string[] = [];
      if (unused.length > 0)
        warnings.push(
          `${path}: ${listNames(unused)}: unused, the model does not need ${unused.length > 1 ? 'them' : 'it'}`,
        );
      if (isAllZero(tensors)) warnings.push(`${path}: every weight is zero: the model is untrained or damaged`);
      return { unused: [...tensors.keys()].filter((name) => !used.has(name)).map(fileName), warnings };
    },
  };
}

/** Names of constants that old versions of transformers stored beside the weights. */
const BUFFER = /(^|\.)position_ids$/;

function isKnown(name: string, skipped: ReadonlySet<string>): boolean {
  if (BUFFER.test(name)) return true;
  for (let end = name.length; end > 0; end = name.lastIndexOf('.', end - 1)) {
    if (skipped.has(name.slice(0, end))) return true;
  }
  return false;
}

function missingProblem(path: string, missing: readonly { readonly name: string }[]): Problem[] {
  if (missing.length === 0) return [];
  const problem = missing.length === 1 ? 'the weight is missing' : 'these weights are missing';
  return [{ code: 'MISMATCH', line: `${path}: ${listNames(missing.map(({ name }) => name))}: ${problem}` }];
}

/** Most names that are compared, which takes time; a file with more strays is no renamed model. */
const MAX_RELATIVES = 1000;

/** Finds an unused weight of the same shape with a similar name: most likely the missing one, renamed. */
function relativeOf(
  name: string,
  shape: readonly number[],
  unused: readonly string[],
  shapes: ReadonlyMap<string, readonly number[]>,
): string[] {
  const alike = unused.filter((other) => isSameMatrix(shapes.get(other) ?? [], shape)).slice(0, MAX_RELATIVES);
  const relative = nearest(name, alike);
  return relative === undefined ? [] : [`${relative} is unused and has the shape of ${name}: was it renamed?`];
}

/** True for matrices of one shape, or its transpose, as kernels of other frameworks are. */
function isSameMatrix(a: readonly number[], b: readonly number[]): boolean {
  return sameShape(a, b) || (a.length === 2 && sameShape(a.toReversed(), b));
}

function misfit({ dtype, shape }: Tensor, expected: readonly number[]): string | undefined {
  if (!isFloat(dtype)) return `is ${dtype}, but weights are floats`;
  if (sameShape(shape, expected)) return undefined;
  const isTransposed = shape.length === 2 && sameShape(shape.toReversed(), expected);
  return `has shape ${shapeText(shape)}, the config implies ${shapeText(expected)}${isTransposed ? ': it looks transposed' : ''}`;
}

function standIn(shape: readonly number[]): Tensor {
  return {
    dtype: 'f32',
    shape,
    bytes() {
      throw new MbertError('INVALID_GRAPH', 'a missing weight was read');
    },
  };
}

/**
 * True where no weight has a value. Reads small ones first: a trained model shows one in the first bias that is read.
 */
function isAllZero(tensors: ReadonlyMap<string, Tensor>): boolean {
  const bySize = [...tensors.values()].sort((a, b) => sizeOf(a.shape) - sizeOf(b.shape));
  return bySize.length > 0 && bySize.every(isZero);
}
