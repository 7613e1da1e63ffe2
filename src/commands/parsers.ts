import { InvalidArgumentError } from 'commander';
import { LinearExpression } from '../io/regular-expression.ts';
import type { EmbeddingRank } from '../ir/pass.ts';
import type { StepCount } from '../options/step-count.ts';
import { SCHEMES, type Scheme } from '../quantization/settings.ts';

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('it must be a positive integer.');
  return value;
}

export function nonNegativeInteger(text: string): number {
  return text.trim() === '0' ? 0 : positiveInteger(text);
}

export function integer(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value)) throw new InvalidArgumentError('it must be an integer.');
  return value;
}

export function percentage(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 100)) throw new InvalidArgumentError('it must be 0 to 100.');
  return value;
}

/** Parses how floats are stored. Integers need more than a type: texts, a scheme, a proof. */
export function dtype(text: string): 'f32' | 'f16' {
  if (text === 'f32' || text === 'f16') return text;
  const isInteger = /^(u?int(4|8|16)|[iu](4|8|16)|w4|dynamic|int16x8|w8a16)$/i.test(text);
  throw new InvalidArgumentError(
    `Allowed choices are f32, f16.${isInteger ? ' For integers use mbert quantize --scheme int8, dynamic, w4 or int16x8.' : ''}`,
  );
}

/** Another name of int16x8: 8-bit weights, 16-bit activations. */
export const W8A16 = 'w8a16';

/** Parses a scheme by its name or another name of it. */
export function scheme(text: string): Scheme {
  const found = SCHEMES.find((each) => each === (text === W8A16 ? 'int16x8' : text));
  if (found === undefined) throw new InvalidArgumentError(`Allowed choices are ${[...SCHEMES, W8A16].join(', ')}.`);
  return found;
}

/** Parses names with commas between them. */
export function nameList(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('it must be names such as a,b.');
  return names;
}

const UNITS: { readonly [unit: string]: number } = { '': 1, B: 1, KB: 1e3, MB: 1e6, GB: 1e9 };

/** Parses a size in bytes: `8MB`, `8.5 mb` or a plain number. */
export function byteSize(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?) ?([kmg]?b)?$/i.exec(text.trim()) ?? [];
  const factor = UNITS[(unit ?? '').toUpperCase()];
  if (digits === undefined || factor === undefined) throw new InvalidArgumentError('it must be a size such as 8MB.');
  // 8.2 times a million is 8199999.999999999 as a double.
  return Math.floor(Number((Number(digits) * factor).toPrecision(15)));
}

/** Parses the width of a narrow table: `128` columns, or `95%` of the table's energy. */
export function embeddingRank(text: string): EmbeddingRank {
  const [, percent] = /^(\d+(?:\.\d+)?) ?%$/.exec(text.trim()) ?? [];
  if (percent === undefined) return positiveInteger(text);
  const share = Number(percent) / 100;
  if (!(share > 0 && share <= 1)) throw new InvalidArgumentError('it must be columns, as 128, or a share, as 95%.');
  return { share };
}

/** Largest size along an axis, as runtimes count in i32. */
const MAX_SIZE = 2 ** 31 - 1;

/** Parses a size, or `dynamic` for any size at run time. */
export function integerOrDynamic(text: string): number | 'dynamic' {
  if (text === 'dynamic') return 'dynamic';
  const size = positiveInteger(text);
  if (size > MAX_SIZE) throw new InvalidArgumentError(`it must be at most ${MAX_SIZE}.`);
  return size;
}

export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('it must be a positive number.');
  return value;
}

/** Parses a number of steps, a time for them, as `15min` or `2h`, or `auto`. */
export function stepCount(text: string): StepCount {
  if (text === 'auto') return text;
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?(min|h)$/.exec(text.trim()) ?? [];
  if (amount === undefined) {
    const steps = Number(text);
    if (Number.isSafeInteger(steps) && steps > 0) return steps;
    throw new InvalidArgumentError('it must be a positive integer, a time such as 15min or 2h, or auto.');
  }
  const minutes = positiveNumber(amount) * (unit === 'h' ? 60 : 1);
  return { minutes };
}

export function regularExpression(text: string): RegExp {
  try {
    return new LinearExpression(text);
  } catch (cause) {
    throw new InvalidArgumentError(
      `it must be a regular expression: ${cause instanceof Error ? cause.message : cause}`,
    );
  }
}

export function nonNegative(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0) || value === Number.POSITIVE_INFINITY) {
    throw new InvalidArgumentError('it must be a number that is not negative.');
  }
  return value;
}

/** Parses a list of names, `a,b`. */
export function names(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** Parses `i/n`, the i-th of n parts, counted from 1. */
export function shard(text: string): { readonly index: number; readonly count: number } {
  const [, first, second] = /^(\d+)\/(\d+)$/.exec(text.trim()) ?? [];
  const [index, count] = [Number(first), Number(second)];
  if (!(index >= 1 && index <= count && Number.isSafeInteger(count))) {
    throw new InvalidArgumentError('it must be a part such as 2/8, from 1/8 to 8/8.');
  }
  return { index, count };
}

/** Parses the number of a port that a user may listen on. */
export function port(text: string): number {
  const value = positiveInteger(text);
  if (value > 65535) throw new InvalidArgumentError('it must be at most 65535.');
  return value;
}

/** Parses a list of sizes in bytes, `4MB,8MB`. */
export function byteSizes(text: string): number[] {
  const sizes = nameList(text).map(byteSize);
  if (sizes.includes(0)) throw new InvalidArgumentError('it must be sizes above 0, such as 4MB,8MB.');
  return sizes;
}

/** Parses a list of shares above 0 and below 1, `0.3,0.5`. */
export function shares(text: string): number[] {
  const values = nameList(text).map(Number);
  if (values.some((value) => !(value > 0 && value < 1)))
    throw new InvalidArgumentError('it must be shares between 0 and 1, such as 0.3,0.5.');
  return values;
}
