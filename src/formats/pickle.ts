import { MbertError } from '../errors.ts';
import type { ByteReader } from '../io/bytes.ts';

/** A value that a pickle can hold here. Lists and tuples are arrays, dictionaries are maps. */
export type PickleValue = null | boolean | number | bigint | string | object;

/** A Python class or function by its name. Nothing is ever imported. */
export class PickleGlobal {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** A stand-in for a Python callable. It throws MALFORMED where the arguments make no sense. */
export type PickleFunction = (args: readonly PickleValue[]) => PickleValue;

/** Things that a pickle may do. Everything else is refused. */
export interface PickleRules {
  /** Globals that may be named. Those with a function may be called, too. */
  readonly globals: ReadonlyMap<string, PickleFunction | undefined>;
  /** Finds what an id stands for that refers to data outside the pickle. */
  persistent(id: PickleValue): PickleValue;
}

/** Most opcodes, which bounds memory, as each makes one value at most: a state_dict of 1,113 tensors takes 45,000. */
const MAX_OPCODES = 1_000_000;

/** Most values on the stack: picklers flush a container every 1,000 items, so that real ones stay below 3,000. */
const MAX_STACK = 20_000;

/** Longest name of a module or class; real ones have less than 100 characters. */
const MAX_NAME_LENGTH = 256;

/** Longest integer: torch's magic number has ten bytes, sizes have eight. */
const MAX_INTEGER_BYTES = 16;

/** Interprets one pickle (protocols 2 to 5) as far as its STOP, executing nothing: calls are looked up in `rules`. */
export function readPickle(reader: ByteReader, rules: PickleRules): PickleValue {
  const machine: Machine = { reader, rules, stack: [], marks: [], memo: new Map(), at: 0 };
  for (let count = 0; count < MAX_OPCODES; count++) {
    machine.at = reader.offset;
    const code = reader.u8();
    if (code === STOP) return pop(machine);
    const run = OPCODES[code];
    if (run === undefined) fail(machine, `opcode 0x${code.toString(16)} is none that torch.save writes`);
    run(machine);
    if (machine.stack.length > MAX_STACK || machine.marks.length > MAX_STACK) {
      fail(machine, `is nested deeper than ${MAX_STACK} values`);
    }
  }
  return fail(machine, `has more than ${MAX_OPCODES} opcodes`);
}

interface Machine {
  readonly reader: ByteReader;
  readonly rules: PickleRules;
  readonly stack: PickleValue[];
  /** Heights of the stack at which MARK came. */
  readonly marks: number[];
  readonly memo: Map<number, PickleValue>;
  /** Offset of the opcode that runs. */
  at: number;
}

function fail({ reader, at }: Machine, problem: string): never {
  return reader.fail(`pickle ${problem} (offset ${at})`);
}

function pop(machine: Machine): PickleValue {
  const { stack, marks } = machine;
  const value = stack.length > (marks.at(-1) ?? 0) ? stack.pop() : undefined;
  return value === undefined ? fail(machine, `takes from an empty stack`) : value;
}

function top<T extends object>(machine: Machine, isRight: (value: unknown) => value is T, what: string): T {
  const value = machine.stack.at(-1);
  return isRight(value) ? value : fail(machine, `expects ${what}`);
}

/** Takes the values above the last mark. */
function popMarked(machine: Machine): PickleValue[] {
  const mark = machine.marks.pop();
  return mark === undefined ? fail(machine, `has no mark`) : machine.stack.splice(mark);
}

function popTuple(machine: Machine, length: number): PickleValue[] {
  const values = Array.from({ length }, () => pop(machine));
  return values.reverse();
}

const isArray = (value: unknown): value is PickleValue[] => Array.isArray(value);
const isMap = (value: unknown): value is Map<PickleValue, PickleValue> => value instanceof Map;
const isSet = (value: unknown): value is Set<PickleValue> => value instanceof Set;

function setItems(machine: Machine, items: readonly PickleValue[]): void {
  const map = top(machine, isMap, 'a dictionary');
  if (items.length % 2 !== 0) fail(machine, `has a key without a value`);
  for (let i = 0; i < items.length; i += 2) map.set(items[i] as PickleValue, items[i + 1] as PickleValue);
}

function append(machine: Machine, items: readonly PickleValue[]): void {
  const list = top(machine, isArray, 'a list');
  for (const item of items) list.push(item);
}

function pushGlobal(machine: Machine, module: PickleValue, member: PickleValue): void {
  const { reader, rules, stack } = machine;
  // Only texts: turning nested lists into one would take time and stack without bound.
  if (typeof module !== 'string' || typeof member !== 'string') fail(machine, 'names a class by what is no text');
  const name = `${module}.${member}`.slice(0, MAX_NAME_LENGTH);
  if (!rules.globals.has(name)) {
    throw new MbertError(
      'UNSUPPORTED',
      `${reader.what}: pickle names ${name}, which no weights need (offset ${machine.at})`,
      {
        hint: 'mbert reads tensors and executes nothing; a whole model must be saved as torch.save(model.state_dict(), path)',
      },
    );
  }
  stack.push(new PickleGlobal(name));
}

/** Calls a global of the rules. */
export function callGlobal(rules: PickleRules, callee: PickleValue, args: PickleValue): PickleValue | undefined {
  const call = callee instanceof PickleGlobal ? rules.globals.get(callee.name) : undefined;
  return call !== undefined && isArray(args) ? call(args) : undefined;
}

function reduce(machine: Machine): void {
  const args = pop(machine);
  const callee = pop(machine);
  const result = callGlobal(machine.rules, callee, args);
  if (result === undefined) {
    const what = callee instanceof PickleGlobal ? callee.name : 'what is no function';
    fail(machine, `calls ${what}`);
  }
  machine.stack.push(result);
}

function getMemo(machine: Machine, index: number): void {
  const value = machine.memo.get(index);
  if (value === undefined) fail(machine, `recalls ${index}, which was not memorized,`);
  machine.stack.push(value);
}

function putMemo(machine: Machine, index: number): void {
  const value = pop(machine);
  machine.memo.set(index, value);
  machine.stack.push(value);
}

/** Reads a line of ASCII, as GLOBAL has two. */
function readLine(machine: Machine): string {
  const { reader } = machine;
  let line = '';
  for (let byte = reader.u8(); byte !== 10; byte = reader.u8()) {
    line += String.fromCharCode(byte);
    if (line.length > MAX_NAME_LENGTH) fail(machine, `has a name longer than ${MAX_NAME_LENGTH}`);
  }
  return line;
}

/** Reads a little-endian two's complement number. */
function readInteger(machine: Machine, length: number): number | bigint {
  if (length > MAX_INTEGER_BYTES) fail(machine, `has an integer of ${length} bytes`);
  let value = 0n;
  machine.reader.bytes(length).forEach((byte, i) => {
    value |= BigInt(byte) << BigInt(8 * i);
  });
  const signed = BigInt.asIntN(8 * length, value);
  return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
}

const STOP = 0x2e;

type Run = (machine: Machine) => void;
const push =
  (read: (machine: Machine) => PickleValue): Run =>
  (machine) => {
    machine.stack.push(read(machine));
  };

/** Opcodes that picklers write in protocols 2 to 5 (Lib/pickletools.py names them so), Python 2's strings included. */
const OPCODES: { readonly [code: number]: Run | undefined } = {
  // PROTO and FRAME only help readers.
  128: ({ reader }) => void reader.u8(),
  149: ({ reader }) => void reader.u64(),
  // MARK, POP, POP_MARK, DUP
  40: ({ stack, marks }) => void marks.push(stack.length),
  48: (machine) => void pop(machine),
  49: (machine) => void popMarked(machine),
  50: (machine) => {
    const value = pop(machine);
    machine.stack.push(value, value);
  },
  // NONE, NEWTRUE, NEWFALSE
  78: push(() => null),
  136: push(() => true),
  137: push(() => false),
  // BININT, BININT1, BININT2, LONG1, LONG4, BINFLOAT
  74: push(({ reader }) => reader.i32()),
  75: push(({ reader }) => reader.u8()),
  77: push(({ reader }) => reader.u16()),
  138: push((machine) => readInteger(machine, machine.reader.u8())),
  139: push((machine) => readInteger(machine, machine.reader.u32())),
  71: push(({ reader }) => reader.f64be()),
  // BINSTRING, SHORT_BINSTRING, BINUNICODE, SHORT_BINUNICODE, BINUNICODE8
  84: push(({ reader }) => reader.text(reader.u32())),
  85: push(({ reader }) => reader.text(reader.u8())),
  88: push(({ reader }) => reader.text(reader.u32())),
  140: push(({ reader }) => reader.text(reader.u8())),
  141: push(({ reader }) => reader.text(reader.u64())),
  // BINBYTES, SHORT_BINBYTES, BINBYTES8, BYTEARRAY8
  66: push(({ reader }) => reader.bytes(reader.u32())),
  67: push(({ reader }) => reader.bytes(reader.u8())),
  142: push(({ reader }) => reader.bytes(reader.u64())),
  150: push(({ reader }) => reader.bytes(reader.u64())),
  // EMPTY_TUPLE, TUPLE, TUPLE1 to TUPLE3
  41: push(() => []),
  116: push(popMarked),
  133: push((machine) => popTuple(machine, 1)),
  134: push((machine) => popTuple(machine, 2)),
  135: push((machine) => popTuple(machine, 3)),
  // EMPTY_LIST, LIST, APPEND, APPENDS
  93: push(() => []),
  108: push(popMarked),
  97: (machine) => append(machine, [pop(machine)]),
  101: (machine) => append(machine, popMarked(machine)),
  // EMPTY_DICT, SETITEM, SETITEMS
  125: push(() => new Map()),
  115: (machine) => setItems(machine, popTuple(machine, 2)),
  117: (machine) => setItems(machine, popMarked(machine)),
  // EMPTY_SET, FROZENSET, ADDITEMS
  143: push(() => new Set()),
  145: push((machine) => new Set(popMarked(machine))),
  144: (machine) => {
    const items = popMarked(machine);
    const set = top(machine, isSet, 'a set');
    for (const item of items) set.add(item);
  },
  // BINGET, LONG_BINGET, BINPUT, LONG_BINPUT, MEMOIZE
  104: (machine) => getMemo(machine, machine.reader.u8()),
  106: (machine) => getMemo(machine, machine.reader.u32()),
  113: (machine) => putMemo(machine, machine.reader.u8()),
  114: (machine) => putMemo(machine, machine.reader.u32()),
  148: (machine) => putMemo(machine, machine.memo.size),
  // GLOBAL, STACK_GLOBAL, REDUCE, NEWOBJ
  99: (machine) => pushGlobal(machine, readLine(machine), readLine(machine)),
  147: (machine) => {
    const [module, member] = popTuple(machine, 2) as [PickleValue, PickleValue];
    pushGlobal(machine, module, member);
  },
  82: reduce,
  129: reduce,
  // BUILD sets attributes, such as a state_dict's _metadata: none of them is a weight.
  98: (machine) => void pop(machine),
  // BINPERSID
  81: push((machine) => machine.rules.persistent(pop(machine))),
};
