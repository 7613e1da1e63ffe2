import type { builtinOperatorValues, Operator } from '../../formats/tflite/generated/model.ts';
import type { Draft } from '../../formats/tflite/table.ts';
import type { TensorType } from '../../tensor.ts';

export type Builtin = keyof typeof builtinOperatorValues;

/** What an operator's version depends on. */
export interface Form {
  readonly inputs: readonly TensorType[];
  readonly options: Draft<Operator>['builtinOptions'];
}

interface Versions {
  /** The lowest version whose kernel knows the form: older runtimes then refuse a file rather than misread it. */
  of(form: Form): number;
  /** The first TensorFlow release with each version. */
  readonly releases: { readonly [version: number]: string };
}

function always(release: string): Versions {
  return { of: () => 1, releases: { 1: release } };
}

const rank = (form: Form): number => Math.max(...form.inputs.map(({ shape }) => shape.length));
const dtype = (form: Form, input = 0): TensorType['dtype'] | undefined => form.inputs[input]?.dtype;

/** The operators that mbert writes: rules as in TFLite's op_version.cc, releases as in its runtime_version.cc (August 2026). */
const table: { readonly [O in Builtin]?: Versions } = {
  ADD: always('1.5.0'),
  BATCH_MATMUL: always('2.3.0'),
  CAST: always('1.5.0'),
  CONCATENATION: always('1.5.0'),
  CONV_2D: always('1.5.0'),
  CUMSUM: always('2.4.0'),
  DEQUANTIZE: { of: (form) => (dtype(form) === 'f16' ? 3 : 1), releases: { 1: '1.13.1', 3: '1.15.0' } },
  DIV: { of: (form) => (rank(form) > 4 ? 2 : 1), releases: { 1: '1.6.0', 2: '2.3.0' } },
  EMBEDDING_LOOKUP: always('1.13.0'),
  FULLY_CONNECTED: { of: (form) => (keepsDims(form) ? 5 : 1), releases: { 1: '1.5.0', 5: '2.0.0' } },
  GATHER: always('1.6.0'),
  GELU: always('2.9.0'),
  LOGISTIC: always('1.14.0'),
  MEAN: always('1.6.0'),
  MUL: always('1.5.0'),
  PAD: { of: (form) => (rank(form) > 4 ? 4 : 1), releases: { 1: '1.5.0', 4: '2.6.0' } },
  RELU: always('1.5.0'),
  RESHAPE: always('1.5.0'),
  RSQRT: always('1.10.0'),
  SLICE: { of: (form) => (rank(form) > 4 ? 5 : 1), releases: { 1: '1.14.0', 5: '2.5.0' } },
  SOFTMAX: always('1.5.0'),
  SPLIT: { of: (form) => (dtype(form, 1) === 'i32' ? 3 : 1), releases: { 1: '1.5.0', 3: '1.14.0' } },
  SQRT: always('1.10.0'),
  SQUARED_DIFFERENCE: always('1.13.1'),
  STRIDED_SLICE: { of: (form) => (rank(form) > 4 ? 4 : 1), releases: { 1: '1.6.0', 4: '2.2.0' } },
  SUB: { of: (form) => (rank(form) > 4 ? 3 : 1), releases: { 1: '1.6.0', 3: '2.3.0' } },
  TANH: always('1.14.0'),
  TRANSPOSE: {
    of: (form) => (rank(form) > 5 ? 6 : rank(form) > 4 ? 4 : 1),
    releases: { 1: '1.6.0', 4: '2.3.0', 6: '2.12.0' },
  },
};

function keepsDims({ options }: Form): boolean {
  return options?.kind === 'FullyConnectedOptions' && options.value.keepNumDims === true;
}

export function versionOf(code: Builtin, form: Form): number {
  return row(code).of(form);
}

/** The TensorFlow release that first knew a version of an operator. */
export function releaseOf(code: Builtin, version: number): string {
  const release = row(code).releases[version];
  if (release === undefined) throw new Error(`no release is known for ${code} version ${version}`);
  return release;
}

function row(code: Builtin): Versions {
  const versions = table[code];
  if (versions === undefined) throw new Error(`no versions are known for ${code}`);
  return versions;
}

/** Whether one release comes after another; what a shorter number leaves out is 0. */
export function isNewer(release: string, than: string): boolean {
  const a = release.split('.').map(Number);
  const b = than.split('.').map(Number);
  for (let i = 0; i < 3; i++) if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) > (b[i] ?? 0);
  return false;
}
