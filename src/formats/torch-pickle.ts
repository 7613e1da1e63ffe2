import { MbertError } from '../errors.ts';
import type { ByteReader } from '../io/bytes.ts';
import type { DType } from '../ir/tensor.ts';
import {
  callGlobal,
  type PickleFunction,
  PickleGlobal,
  type PickleRules,
  type PickleValue,
  readPickle,
} from './pickle.ts';
import type { TorchStorage, TorchView } from './torch-view.ts';

/** Dtypes by the class that says what a storage's elements are. */
const STORAGE_TYPES: ReadonlyMap<string, DType> = new Map([
  ['torch.DoubleStorage', 'f64'],
  ['torch.FloatStorage', 'f32'],
  ['torch.HalfStorage', 'f16'],
  ['torch.BFloat16Storage', 'bf16'],
  ['torch.LongStorage', 'i64'],
  ['torch.IntStorage', 'i32'],
  ['torch.ShortStorage', 'i16'],
  ['torch.CharStorage', 'i8'],
  ['torch.ByteStorage', 'u8'],
  ['torch.BoolStorage', 'bool'],
  ['torch.storage.UntypedStorage', 'u8'],
]);

const DTYPE_NAMES: ReadonlyMap<string, DType> = new Map([
  ['torch.float64', 'f64'],
  ['torch.float32', 'f32'],
  ['torch.float16', 'f16'],
  ['torch.bfloat16', 'bf16'],
  ['torch.int64', 'i64'],
  ['torch.int32', 'i32'],
  ['torch.int16', 'i16'],
  ['torch.int8', 'i8'],
  ['torch.uint8', 'u8'],
  ['torch.uint16', 'u16'],
  ['torch.uint32', 'u32'],
  ['torch.uint64', 'u64'],
  ['torch.bool', 'bool'],
]);

/** Reads one of torch's pickles. Tensors come out as views; `storages` gets every storage that the pickle names. */
export function readTorchPickle(reader: ByteReader, storages: Map<string, TorchStorage>): PickleValue {
  const fail = (problem: string): never => reader.fail(`pickle ${problem} (before offset ${reader.offset})`);
  const rules: PickleRules = {
    globals: torchGlobals(fail, (callee, args) => callGlobal(rules, callee, args)),
    persistent(id) {
      const storage = readStorageId(id);
      if (storage === undefined) return fail('refers to what is no storage');
      const known = storages.get(storage.key);
      if (known !== undefined && (known.dtype !== storage.dtype || known.wholeLength !== storage.wholeLength)) {
        fail(`describes storage ${storage.key} in two ways`);
      }
      storages.set(storage.key, storage);
      return storage;
    },
  };
  return readPickle(reader, rules);
}

/** Longest key of a storage; keys are numbers, in old files addresses. */
const MAX_KEY_LENGTH = 64;

/** Reads ('storage', class, key, device, length), and in old files a last part, None or (its key, offset, length). */
function readStorageId(id: PickleValue): TorchStorage | undefined {
  if (!Array.isArray(id)) return undefined;
  const [tag, type, key, , wholeLength, part] = id as PickleValue[];
  const dtype = type instanceof PickleGlobal ? STORAGE_TYPES.get(type.name) : undefined;
  if (tag !== 'storage' || dtype === undefined || typeof key !== 'string' || !isCount(wholeLength)) return undefined;
  if (key.length > MAX_KEY_LENGTH) return undefined;
  const whole = { kind: 'storage', dtype, key, wholeLength } as const;
  if (part === undefined || part === null) return { ...whole, start: 0, length: wholeLength };
  const [, start, length] = Array.isArray(part) ? (part as PickleValue[]) : [];
  if (!isCount(start) || !isCount(length) || start + length > wholeLength) return undefined;
  return { ...whole, start, length };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every(isCount);
}

function isView(value: unknown): value is TorchView {
  return typeof value === 'object' && value !== null && (value as TorchView).kind === 'tensor';
}

function isStorage(value: unknown): value is TorchStorage {
  return typeof value === 'object' && value !== null && (value as TorchStorage).kind === 'storage';
}

type Fail = (problem: string) => never;
type Call = (callee: PickleValue, args: PickleValue) => PickleValue | undefined;

/**
 * Globals that weights are pickled with, as in torch.load(weights_only=True), but for types that mbert does not have.
 */
function torchGlobals(fail: Fail, call: Call): PickleRules['globals'] {
  // (storage, offset, shape, strides, requires_grad, hooks, …): what comes later is of no use without training.
  const rebuildTensor: PickleFunction = ([storage, offset, shape, strides]) => {
    if (!isStorage(storage) || !isCount(offset) || !isCounts(shape) || !isCounts(strides))
      return fail('makes no tensor');
    return { kind: 'tensor', dtype: storage.dtype, storage, offset, shape, strides } satisfies TorchView;
  };
  const rebuildTyped: PickleFunction = (args) => {
    const view = rebuildTensor(args) as TorchView;
    const type = args[6];
    const dtype = type instanceof PickleGlobal ? DTYPE_NAMES.get(type.name) : undefined;
    return dtype === undefined ? fail('makes a tensor without a type') : { ...view, dtype };
  };
  const first: PickleFunction = ([value]) => value ?? fail('calls without arguments');
  const rebuildSubclass: PickleFunction = ([callee, , args]) =>
    call(callee ?? null, args ?? null) ?? fail('rebuilds a tensor by what is no function');
  return new Map<string, PickleFunction | undefined>([
    ...[...STORAGE_TYPES.keys(), ...DTYPE_NAMES.keys()].map((name) => [name, undefined] as const),
    ['torch.Tensor', undefined],
    ['torch.nn.parameter.Parameter', undefined],
    ['collections.OrderedDict', ([pairs]) => orderedDict(pairs, fail)],
    ['torch.Size', first],
    ['torch.device', first],
    ['torch._utils._rebuild_tensor', rebuildTensor],
    ['torch._utils._rebuild_tensor_v2', rebuildTensor],
    ['torch._utils._rebuild_tensor_v3', rebuildTyped],
    ['torch._utils._rebuild_parameter', first],
    ['torch._utils._rebuild_parameter_with_state', first],
    ['torch._tensor._rebuild_from_type_v2', rebuildSubclass],
  ]);
}

/** Makes an OrderedDict: Python 2 gives the pairs at once, Python 3 sets the items afterwards. */
function orderedDict(pairs: PickleValue | undefined, fail: Fail): Map<PickleValue, PickleValue> {
  const map = new Map<PickleValue, PickleValue>();
  if (pairs === undefined) return map;
  if (!Array.isArray(pairs)) return fail('makes no dictionary');
  for (const pair of pairs as PickleValue[]) {
    const [key, value] = Array.isArray(pair) ? (pair as PickleValue[]) : [];
    if (key === undefined || value === undefined) return fail('makes no dictionary');
    map.set(key, value);
  }
  return map;
}

/** Names under which training scripts keep the weights beside their optimizer. */
const WRAPPERS = ['state_dict', 'model_state_dict', 'model', 'module', 'net'];

/** Most wrappers around a state_dict: scripts nest it in one or two. */
const MAX_WRAPPERS = 3;

/** Finds the named tensors of a checkpoint, and the wrappers around them. */
export function findStateDict(
  root: PickleValue,
  what: string,
): { readonly views: ReadonlyMap<string, TorchView>; readonly wrappers: readonly string[] } {
  const wrappers: string[] = [];
  for (let value: unknown = root; value instanceof Map && wrappers.length <= MAX_WRAPPERS; ) {
    const map: ReadonlyMap<unknown, unknown> = value;
    const views = new Map<string, TorchView>();
    for (const [name, item] of map) if (typeof name === 'string' && isView(item)) views.set(name, item);
    if (views.size > 0) return { views, wrappers };
    const wrapper = WRAPPERS.find((name) => map.get(name) instanceof Map);
    if (wrapper === undefined) break;
    wrappers.push(wrapper);
    value = map.get(wrapper);
  }
  throw new MbertError('MALFORMED', `${what}: holds no named tensors`, {
    hint: 'a PyTorch checkpoint is made by torch.save(model.state_dict(), path)',
  });
}
