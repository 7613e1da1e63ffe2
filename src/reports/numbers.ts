/** A unit for an axis, so that no label has more than four digits. */
interface Unit {
  readonly name: string;
  /** Number of bytes that it stands for. */
  readonly size: number;
}

const BYTES: readonly Unit[] = [
  { name: 'MB', size: 1e6 },
  { name: 'kB', size: 1e3 },
  { name: 'B', size: 1 },
];

/** Largest unit of which the largest number has at least one. */
export function byteUnit(largest: number): Unit {
  return BYTES.find(({ size }) => largest >= size) ?? (BYTES.at(-1) as Unit);
}

/** A number in four digits, which tell apart what reports compare. */
export function digits(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2).replace(/\.?0+e/, 'e');
  return String(Number(value.toPrecision(4)));
}

export function decibels(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  return Number.isFinite(value) ? `${value.toFixed(1)} dB` : value > 0 ? 'equal' : '–';
}

/** SQNR as `verify` gives it: null where there is no error to measure, `equal` in words; NaN is no answer at all. */
export function sqnrText(value: number | null): string {
  return value === null ? 'equal' : decibels(value);
}

export function percents(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}
