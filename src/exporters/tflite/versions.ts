import type { builtinOperatorValues, Operator } from '../../formats/tflite/generated/model.ts';
import type { Draft } from '../../formats/tflite/table.ts';
import type { TensorType } from '../../ir/tensor.ts';

/** What an operator's version depends on. */
export interface Form {
  readonly inputs: readonly TensorType[];
  readonly outputs: readonly TensorType[];
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

/** Operators whose integer forms are version 2 for i8 and 3 for i16. */
function byDtype(releases: Versions['releases']): Versions {
  return { of: (form) => (is(form, 'i16') ? 3 : is(form, 'i8') ? 2 : 1), releases };
}

function is({ inputs }: Form, dtype: TensorType['dtype'], input = 0): boolean {
  return inputs[input]?.dtype === dtype;
}

const rank = ({ inputs }: Form): number => Math.max(...inputs.map(({ shape }) => shape.length));
const isPerChannel = (type: TensorType | undefined): boolean => type?.quant?.per === 'channel';
const isBlockwise = (type: TensorType | undefined): boolean => type?.quant?.per === 'block';

/** Two inputs of unequal shape, one of more than four axes. */
function broadcastsHighRank(form: Form): boolean {
  return rank(form) > 4 && form.inputs[0]?.shape.join() !== form.inputs[1]?.shape.join();
}

/** The operators that mbert writes: rules as in TFLite's op_version.cc, releases as in its runtime_version.cc (August 2026). */
const table = {
  ADD: {
    of: (form) => (is(form, 'i64') ? 4 : is(form, 'i16') ? (hasFreeScales(form) ? 3 : 1) : is(form, 'i8') ? 2 : 1),
    releases: { 1: '1.5.0', 2: '1.14.0', 3: '2.4.0', 4: '2.6.0' },
  },
  BATCH_MATMUL: {
    of: (form) => (is(form, 'i16') ? 3 : is(form, 'i8') ? 2 : isHybrid(form) && isAsymmetric(form) ? 4 : 1),
    releases: { 1: '2.3.0', 2: '2.3.0', 3: '2.4.0', 4: '2.5.0' },
  },
  CAST: always('1.5.0'),
  CONCATENATION: byDtype({ 1: '1.5.0', 2: '1.14.0', 3: '2.3.0' }),
  CONV_2D: {
    of: (form) => {
      if (is(form, 'i16')) return 4;
      if (is(form, 'i8')) return is(form, 'i4', 1) ? 7 : 3;
      return isHybrid(form) ? (isPerChannel(form.inputs[1]) ? 5 : 2) : 1;
    },
    releases: { 1: '1.5.0', 2: '1.14.0', 3: '1.14.0', 4: '2.3.0', 5: '2.4.0', 7: '2.11.0' },
  },
  CUMSUM: always('2.4.0'),
  DEQUANTIZE: {
    of(form) {
      if (is(form, 'i4')) return 6;
      if (is(form, 'i8')) return isPerChannel(form.inputs[0]) ? 5 : 2;
      return is(form, 'i16') || is(form, 'f16') ? 3 : 1;
    },
    releases: { 1: '1.13.1', 2: '1.14.0', 3: '1.15.0', 5: '2.7.0', 6: '2.18.0' },
  },
  DIV: { of: (form) => (broadcastsHighRank(form) ? 2 : 1), releases: { 1: '1.6.0', 2: '2.3.0' } },
  EMBEDDING_LOOKUP: {
    of: (form) => (is(form, 'i4', 1) || isPerChannel(form.inputs[1]) ? 4 : 1),
    releases: { 1: '1.13.0', 4: '2.18.0' },
  },
  EQUAL: always('1.14.0'),
  FULLY_CONNECTED: {
    of: fullyConnected,
    releases: {
      1: '1.5.0',
      3: '1.14.0',
      4: '1.14.0',
      5: '2.0.0',
      6: '2.1.0',
      9: '2.3.0',
      10: '2.11.0',
      12: '2.17.0',
      13: '2.18.0',
    },
  },
  GATHER: {
    of: (form) => (is(form, 'i4') ? 7 : is(form, 'i16') ? 4 : is(form, 'i8') ? 2 : 1),
    releases: { 1: '1.6.0', 2: '1.14.0', 4: '2.4.0', 7: '2.15.0' },
  },
  GELU: { of: (form) => (is(form, 'i8') ? 2 : 1), releases: { 1: '2.9.0', 2: '2.9.0' } },
  GREATER: always('1.14.0'),
  GREATER_EQUAL: always('1.14.0'),
  LESS: always('1.14.0'),
  LESS_EQUAL: always('1.14.0'),
  LOGICAL_NOT: always('1.11.0'),
  LOGISTIC: byDtype({ 1: '1.14.0', 2: '1.14.0', 3: '2.3.0' }),
  MEAN: byDtype({ 1: '1.6.0', 2: '1.14.0', 3: '2.4.0' }),
  MUL: {
    of: (form) => (is(form, 'i64') ? 5 : is(form, 'i16') ? 4 : productScale(form) >= 1 ? 3 : is(form, 'i8') ? 2 : 1),
    releases: { 1: '1.5.0', 2: '1.14.0', 3: '1.15.0', 4: '2.3.0', 5: '2.6.0' },
  },
  PAD: {
    of: (form) => (rank(form) > 4 ? 4 : is(form, 'i16') ? 3 : is(form, 'i8') ? 2 : 1),
    releases: { 1: '1.5.0', 2: '1.14.0', 3: '2.4.0', 4: '2.6.0' },
  },
  QUANTIZE: {
    of: (form) => (isPerChannel(form.outputs[0]) ? 3 : form.outputs[0]?.dtype === 'i16' ? 2 : 1),
    releases: { 1: '1.14.0', 2: '1.15.0', 3: '2.7.0' },
  },
  RELU: byDtype({ 1: '1.5.0', 2: '2.1.0', 3: '2.5.0' }),
  RESHAPE: always('1.5.0'),
  RSQRT: byDtype({ 1: '1.10.0', 2: '2.5.0', 3: '2.15.0' }),
  SLICE: {
    of: (form) => (rank(form) > 4 ? 5 : is(form, 'i16') ? 4 : is(form, 'i8') ? 2 : 1),
    releases: { 1: '1.14.0', 2: '1.14.0', 4: '2.4.0', 5: '2.5.0' },
  },
  SOFTMAX: byDtype({ 1: '1.5.0', 2: '1.14.0', 3: '2.3.0' }),
  SPLIT: {
    of: (form) => (is(form, 'i16', 1) ? 4 : is(form, 'i32', 1) ? 3 : is(form, 'i8', 1) ? 2 : 1),
    releases: { 1: '1.5.0', 2: '1.14.0', 3: '1.14.0', 4: '2.3.0' },
  },
  SQRT: always('1.10.0'),
  SQUARED_DIFFERENCE: { of: (form) => (is(form, 'i8') ? 2 : 1), releases: { 1: '1.13.1', 2: '2.5.0' } },
  STRIDED_SLICE: {
    of: (form) => (rank(form) > 4 ? 4 : is(form, 'i8') ? 2 : 1),
    releases: { 1: '1.6.0', 2: '1.14.0', 4: '2.2.0' },
  },
  SUB: {
    of(form) {
      if (is(form, 'i16') && hasFreeScales(form)) return 5;
      if (is(form, 'i64')) return 4;
      return broadcastsHighRank(form) ? 3 : is(form, 'i8') ? 2 : 1;
    },
    releases: { 1: '1.6.0', 2: '1.14.0', 3: '2.3.0', 4: '2.4.0', 5: '2.4.0' },
  },
  TANH: byDtype({ 1: '1.14.0', 2: '1.14.0', 3: '2.3.0' }),
  TRANSPOSE: {
    of(form) {
      if (is(form, 'i4')) return 7;
      if (rank(form) > 5) return 6;
      return is(form, 'i16') ? 5 : rank(form) > 4 ? 4 : is(form, 'i8') ? 2 : 1;
    },
    releases: { 1: '1.6.0', 2: '1.14.0', 4: '2.3.0', 5: '2.4.0', 6: '2.12.0', 7: '2.14.4' },
  },
} satisfies { readonly [O in keyof typeof builtinOperatorValues]?: Versions };

/** The operators that lowerings may write: those whose versions are known. */
export type Builtin = keyof typeof table;

/** Per channel under f32 is known from version 12 on; before, kernels took the first scale for all. */
function fullyConnected(form: Form): number {
  const [x, weight] = form.inputs;
  const { options } = form;
  const value = options?.kind === 'FullyConnectedOptions' ? options.value : {};
  if (weight?.dtype === 'i4') {
    if (x?.dtype === 'i16') return 13;
    return x?.dtype === 'f32' && (isPerChannel(weight) || isBlockwise(weight)) ? 12 : 10;
  }
  if (isHybrid(form) && isPerChannel(weight)) return 12;
  if (form.inputs.length === 2) return 6;
  if (value.keepNumDims === true) return 5;
  if (isHybrid(form)) return value.asymmetricQuantizeInputs === true ? 9 : 3;
  return x?.dtype === 'i8' || x?.dtype === 'i16' ? 4 : 1;
}

/** Whether f32 meets integer weights. */
function isHybrid(form: Form): boolean {
  return is(form, 'f32') && (is(form, 'i8', 1) || is(form, 'i4', 1));
}

function isAsymmetric({ options }: Form): boolean {
  return options?.kind === 'BatchMatMulOptions' && options.value.asymmetricQuantizeInputs === true;
}

/** i16 sums whose scales are no powers of two. */
function hasFreeScales({ options }: Form): boolean {
  const isSum = options?.kind === 'AddOptions' || options?.kind === 'SubOptions';
  return isSum && options.value.potScaleInt16 === false;
}

/** The factor between a product of two stored integers and the stored result, or 0 where they are none. */
function productScale({ inputs, outputs }: Form): number {
  const [a, b, y] = [inputs[0], inputs[1], outputs[0]].map((type) =>
    type?.quant?.per === 'tensor' ? type.quant.scale : undefined,
  );
  return a !== undefined && b !== undefined && y !== undefined ? (a * b) / y : 0;
}

/** Block scales came after the operators' versions, so the version alone does not tell. */
const BLOCKWISE_RELEASE = '2.19.0';

/** The version to write, or null for an operator that the table does not know. */
export function minimalVersion(code: string, form: Form): number | null {
  return Object.hasOwn(table, code) ? row(code as Builtin).of(form) : null;
}

export function versionOf(code: Builtin, form: Form): number {
  return row(code).of(form);
}

/** The TensorFlow release that first knew an operator in a version and form. */
export function releaseOf(code: Builtin, version: number, form: Form): string {
  const release = row(code).releases[version];
  if (release === undefined) throw new Error(`no release is known for ${code} version ${version}`);
  const isBlock = form.inputs.some(isBlockwise);
  return isBlock && isNewer(BLOCKWISE_RELEASE, release) ? BLOCKWISE_RELEASE : release;
}

function row(code: Builtin): Versions {
  return table[code];
}

/** Whether one release comes after another; what a shorter number leaves out is 0. */
export function isNewer(release: string, than: string): boolean {
  const a = release.split('.').map(Number);
  const b = than.split('.').map(Number);
  for (let i = 0; i < 3; i++) if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) > (b[i] ?? 0);
  return false;
}
