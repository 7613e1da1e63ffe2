import { sizeOf } from '../../ir/shape.ts';
import { integerTensor, readF32, readIntegers } from '../../ir/tensor.ts';
import { type GraphImport, notExpressible, sameSizes } from './context.ts';
import { inputOf, intOf, knownAxis, knownShape, knownSizes, type Operation, type OperatorReader } from './operation.ts';
import { reshaped } from './shapes.ts';
import {
  addSizes,
  constantSize,
  dimOf,
  limitedSize,
  multiplySizes,
  negateSize,
  numberOf,
  ONE,
  type Size,
  subtractSizes,
  totalOf,
  ZERO,
} from './sizes.ts';
import { asIndex, asList, dtypeOf, type IndexValue, isInteger, listOf, type TupleValue, type Value } from './values.ts';

export const gather: OperatorReader = (operation) => {
  const x = inputOf(operation, 0);
  const indices = inputOf(operation, 1);
  const axis = knownAxis(intOf(operation, 'axis', 0), knownShape(x).length);
  return listedElements(x, indices) ?? gathered(operation, x, axis, indices);
};

/** Picks elements of a shape by their places. */
function listedElements(x: Value, indices: Value): Value | null {
  const from = asList(x);
  const at = asList(indices);
  if (!from || !at || from.shape.length !== 1) return null;
  const elements: Size[] = [];
  for (const index of at.elements) {
    const place = numberOf(index);
    const element = place === null ? undefined : from.elements[place < 0 ? place + from.elements.length : place];
    if (element === undefined) return null;
    elements.push(element);
  }
  return listOf(elements, from.dtype, at.shape);
}

/** Reads a look-up: rows in one unbroken run are a slice, all rows in order a reshape. */
export function gathered({ to, name }: Operation, x: Value, axis: number, indices: Value): Value {
  const sizes = knownShape(x);
  const grid = isInteger(dtypeOf(indices)) ? asIndex(indices) : null;
  const around = (inside: readonly Size[]) => [...sizes.slice(0, axis), ...inside, ...sizes.slice(axis + 1)];
  if (grid) {
    const total = sizes[axis] as Size;
    if (isRowMajor(grid, total)) return reshaped(to, x, around(grid.shape), name);
    const rows = distances(to, grid, numberOf(total), name);
    if (rows) return to.emit('gather', [x, rows], { axis }, name);
    const run = runOf(grid, total);
    if (run) {
      const [start, end] = [run.start, dimOf(run.end) ?? notExpressible('a gather up to a size that is no product')];
      const cut = to.emit(
        'slice',
        [x],
        { axis, start, end },
        sameSizes(grid.shape, [run.length]) ? name : `${name}/rows`,
      );
      return reshaped(to, cut, around(grid.shape), name);
    }
  }
  return to.emit('gather', [x, indices], { axis }, name);
}

/**
 * Computes a grid of j - i + offset, by which tables of distances are read: from two counts as long as the run's
 * sequence, of numbers as many as the table has rows.
 */
function distances(to: GraphImport, grid: IndexValue, count: number | null, name: string): Value | null {
  const { dtype, shape, offset, strides } = grid;
  const [length, other] = shape;
  const steps = strides.map(numberOf);
  const first = numberOf(offset);
  if (count === null || first === null || steps.join() !== '-1,1' || (dtype !== 'i32' && dtype !== 'i64')) return null;
  const end = length && other && sameSizes([length], [other]) ? dimOf(length) : null;
  if (end === null || count > MAX_INDICES) return null;
  const numbers = integerTensor(dtype, [...Array(count).keys()]);
  const counted: Value = { kind: 'tensor', tensor: numbers, name: `${name}/counted` };
  const keys = to.emit('slice', [counted], { axis: 0, start: 0, end }, `${name}/keys`);
  const queries = to.emit('reshape', [keys], { shape: [end, 1] }, `${name}/queries`);
  const difference = to.emit('sub', [keys, queries], {}, `${name}/difference`);
  const moved: Value = { kind: 'tensor', tensor: integerTensor(dtype, [first], []), name: `${name}/offset` };
  return to.emit('add', [difference, moved], {}, `${name}/distances`);
}

/** True where the grid counts 0, 1, 2, … through all of its shape and through all of the axis. */
function isRowMajor({ shape, offset, strides }: IndexValue, total: Size): boolean {
  if (offset.size > 0) return false;
  let step: Size | null = ONE;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const length = shape[axis] as Size;
    if (numberOf(length) === 1) continue;
    if (step === null || !sameSizes([strides[axis] as Size], [step])) return false;
    step = multiplySizes(step, length);
  }
  return step !== null && sameSizes([step], [total]);
}

/** The run of a grid that counts up by one along a single axis, or holds a single index. */
function runOf({ shape, offset, strides }: IndexValue, total: Size): { start: number; end: Size; length: Size } | null {
  const long = shape.flatMap((size, axis) => (numberOf(size) === 1 ? [] : [axis]));
  const [axis] = long;
  if (long.length > 1 || (axis !== undefined && numberOf(strides[axis] as Size) !== 1)) return null;
  const first = numberOf(offset);
  const whole = numberOf(total);
  const start = first !== null && first < 0 ? (whole === null ? null : first + whole) : first;
  const length = axis === undefined ? ONE : (shape[axis] as Size);
  if (start === null || start < 0 || (start > 0 && numberOf(length) === null)) return null;
  return { start, end: addSizes(constantSize(start), length), length };
}

/**
 * Reads GatherND: the indices' last axis tells the element along each leading axis of x; these are taken as one axis.
 */
export const gatherNd: OperatorReader = (operation) => {
  const { to, name } = operation;
  if (intOf(operation, 'batch_dims', 0) !== 0) notExpressible('GatherND with batch axes');
  const x = inputOf(operation, 0);
  const sizes = knownShape(x);
  const { parts } = asTuple(inputOf(operation, 1)) ?? notExpressible('GatherND by computed indices');
  const lead = sizes.slice(0, parts.length);
  for (const [i, part] of parts.entries()) equateCounted(to, part, lead[i] as Size);
  let flat: IndexValue | null = null;
  for (const [i, part] of parts.entries()) {
    const step = totalOf(lead.slice(i + 1)) ?? notExpressible('the size of a large shape');
    const offset = multiplySizes(part.offset, step);
    const strides = part.strides.map((stride) => multiplySizes(stride, step));
    if (offset === null || strides.includes(null)) notExpressible('index arithmetic on large shapes');
    const scaled: IndexValue = { ...part, offset, strides: strides as Size[] };
    flat = flat === null ? scaled : sumOf(to, flat, scaled);
  }
  const total = totalOf(lead) ?? notExpressible('the size of a large shape');
  const rows = reshaped(to, x, [total, ...sizes.slice(parts.length)], `${name}/flat`);
  return gathered(operation, rows, 0, flat ?? notExpressible('GatherND without indices'));
};

/**
 * Takes the length of a grid that counts 0, 1, 2, … to be that of the axis that it counts, where both are open: the
 * dynamo exporter names the batch of each input anew.
 */
function equateCounted(to: GraphImport, { shape, offset, strides }: IndexValue, total: Size): void {
  const [along, ...others] = shape.filter((_, axis) => (strides[axis] as Size).size > 0);
  const counts = offset.size === 0 && strides.every((stride) => stride.size === 0 || numberOf(stride) === 1);
  if (!counts || along === undefined || others.length > 0) return;
  if (numberOf(along) === null && numberOf(total) === null) to.equate(along, total);
}

function sumOf(to: GraphImport, a: IndexValue, b: IndexValue): IndexValue {
  const shape = to.joinShapes(a.shape, b.shape);
  const strides = shape.map((_, i) =>
    addSizes(
      a.strides[i - shape.length + a.strides.length] ?? ZERO,
      b.strides[i - shape.length + b.strides.length] ?? ZERO,
    ),
  );
  return { ...a, shape, offset: addSizes(a.offset, b.offset), strides };
}

/** A value as index grids side by side, also where they are one constant. */
function asTuple(value: Value): TupleValue | null {
  if (value.kind === 'tuple') return value;
  if (value.kind !== 'tensor' || !isInteger(value.tensor.dtype)) return null;
  const shape = value.tensor.shape.slice(0, -1);
  const width = value.tensor.shape.at(-1) ?? 0;
  if (sizeOf(value.tensor.shape) > MAX_INDICES || width === 0) return null;
  const numbers = readIntegers(value.tensor);
  const parts: IndexValue[] = [];
  for (let i = 0; i < width; i++) {
    const column = numbers.filter((_, at) => at % width === i).map(constantSize);
    const grid = asIndex(listOf(column, 'i64', shape));
    if (grid === null) return null;
    parts.push(grid);
  }
  return { kind: 'tuple', parts };
}

/** Most indices of a constant: two for each token of a long sequence. */
const MAX_INDICES = 1 << 16;

interface Cut {
  readonly axis: number;
  readonly start: Size;
  readonly end: Size;
  readonly step: number;
}

export const slice: OperatorReader = (operation) => {
  const { to, name } = operation;
  const x = inputOf(operation, 0);
  const cuts = cutsOf(operation, knownShape(x));
  const list = asList(x);
  const kept = list && list.shape.length > 0 ? keptElements(list.elements, list.shape, cuts) : null;
  if (list && kept) return listOf(kept.elements, list.dtype, kept.shape);
  const grid = x.kind === 'node' ? null : isInteger(dtypeOf(x)) ? asIndex(x) : null;
  return cuts.reduce<Value>(
    (value, cut, i) => cutAlong(to, value, cut, i === cuts.length - 1 ? name : `${name}/${i}`),
    grid ?? x,
  );
};

function cutsOf(operation: Operation, shape: readonly Size[]): Cut[] {
  const starts = knownSizes(inputOf(operation, 1));
  const ends = knownSizes(inputOf(operation, 2));
  const axes = operation.inputs[3] ? knownSizes(operation.inputs[3]).map(numberOf) : starts.map((_, i) => i);
  const steps = operation.inputs[4] ? knownSizes(operation.inputs[4]).map(numberOf) : starts.map(() => 1);
  return starts.map((start, i) => ({
    axis: knownAxis(axes[i] ?? notExpressible('a slice along a computed axis'), shape.length),
    start,
    end: ends[i] ?? notExpressible('a slice without an end'),
    step: steps[i] ?? notExpressible('a slice with a computed step'),
  }));
}

/** Cuts lists of lists, backwards as well: exporters turn the order of pads so. */
function keptElements(
  elements: readonly Size[],
  shape: readonly number[],
  cuts: readonly Cut[],
): { elements: readonly Size[]; shape: readonly number[] } | null {
  let kept = { elements, shape };
  for (const { axis, start, end, step } of cuts) {
    const [from, to] = [numberOf(start), numberOf(end)];
    if (from === null || to === null || step === 0) return null;
    const length = kept.shape[axis] as number;
    const places = placesOf(from, to, step, length);
    const inner = sizeOf(kept.shape.slice(axis + 1));
    const outer = sizeOf(kept.shape.slice(0, axis));
    const next: Size[] = [];
    for (let o = 0; o < outer; o++) {
      for (const place of places) {
        const at = (o * length + place) * inner;
        next.push(...kept.elements.slice(at, at + inner));
      }
    }
    kept = { elements: next, shape: kept.shape.with(axis, places.length) };
  }
  return kept;
}

/** Places of a slice as numpy counts them: negative ones are from the end, what lies outside is cut off. */
function placesOf(from: number, to: number, step: number, length: number): number[] {
  const [least, most] = step > 0 ? [0, length] : [-1, length - 1];
  const clamp = (place: number) => Math.min(most, Math.max(least, place < 0 ? place + length : place));
  const places: number[] = [];
  const end = clamp(to);
  for (let place = clamp(from); step > 0 ? place < end : place > end; place += step) places.push(place);
  return places;
}

/** Least end that means "to the end", for which exporters write the largest integer of 32 or 64 bits. */
const TO_THE_END = 2 ** 31 - 1;

function cutAlong(to: GraphImport, x: Value, cut: Cut, name: string): Value {
  const { axis, start, end, step } = cut;
  const length = knownShape(x)[axis] as Size;
  const whole = numberOf(length);
  if (step !== 1) return everyNth(to, x, cut, name);
  const first = placeOf(start, length);
  const ending = lastOf(start, end, whole);
  if (ending !== null && x.kind !== 'index') {
    const places = listOf(Array.from({ length: ending }, (_, i) => constantSize(i - ending)));
    return to.emit('gather', [x, places], { axis }, name);
  }
  const from = numberOf(first) ?? notExpressible('a slice from a computed place');
  const begin = whole === null ? from : Math.min(from, whole);
  if (begin < 0) notExpressible('a slice from before the start');
  const last = numberOf(end);
  const stop = last !== null && last >= TO_THE_END ? length : clampedTo(placeOf(end, length), length, begin);
  if (begin === 0 && sameSizes([stop], [length])) return x;
  if (x.kind === 'index') return cutGrid(x, axis, begin, stop);
  const dropped = numberOf(subtractSizes(length, stop));
  if (whole === null && dropped !== null) {
    // As long as x was: every element moves by what was put before it, less what is cut there.
    if (x.kind === 'padded' && x.axis === axis && begin + dropped === x.before + x.after) {
      return to.emit('shift', [x.x], { axis, offset: begin - x.before }, name);
    }
    if (x.kind !== 'node') return notExpressible('a slice of a slice of unknown size');
    return { kind: 'cut', x, axis, start: begin, stop: dropped };
  }
  const bound = dimOf(stop) ?? notExpressible('a slice up to a size that is no product');
  return to.emit('slice', [x], { axis, start: begin, end: bound }, name);
}

/** Reads a slice that steps, as of every second channel (rotary positions), as a look-up of the places that it takes. */
function everyNth(to: GraphImport, x: Value, { axis, start, end, step }: Cut, name: string): Value {
  const [from, until, length] = [start, end, knownShape(x)[axis] as Size].map(numberOf);
  if (from == null || until == null || length == null || step === 0 || x.kind === 'index')
    return notExpressible('a slice that steps through a size or between places that only the run knows');
  const places = placesOf(from, until, step, length);
  if (places.length > MAX_INDICES) notExpressible(`a slice of ${places.length} elements that steps`);
  if (places.length === 0) notExpressible('a slice of nothing');
  return to.emit('gather', [x, listOf(places.map(constantSize))], { axis }, name);
}

/** Most elements at the end of an axis of unknown size that are looked up one by one. */
const MAX_ENDING = 64;

/** How many elements from the end of an axis of unknown size a slice takes; null for any other slice. */
function lastOf(start: Size, end: Size, whole: number | null): number | null {
  const [from, to] = [numberOf(start), numberOf(end)];
  const isEnding =
    whole === null && from !== null && from < 0 && from >= -MAX_ENDING && to !== null && to >= TO_THE_END;
  return isEnding ? -from : null;
}

/** A place counted from the front; negative ones count from the end, as -n, the first of an axis of n. */
function placeOf(place: Size, length: Size): Size {
  const number = numberOf(place);
  if (number === null && sameSizes([place], [negateSize(length)])) return ZERO;
  return number !== null && number < 0 ? addSizes(length, place) : place;
}

/** End of a slice, at the latest where its input ends. One element of an input of unknown size is taken to be there. */
function clampedTo(stop: Size, length: Size, begin: number): Size {
  const at = numberOf(stop);
  if (at === null) return stop;
  if (at <= begin) return constantSize(begin);
  if (at === begin + 1 && numberOf(length) === null) return stop;
  const limited = limitedSize(length, at) ?? notExpressible(`a slice up to ${at} of a size that may be smaller`);
  if (begin > 0 && numberOf(limited) === null)
    notExpressible(`a slice from ${begin} to ${at} of a size that may be smaller`);
  return limited;
}

function cutGrid(grid: IndexValue, axis: number, start: number, stop: Size): IndexValue {
  const shift =
    multiplySizes(grid.strides[axis] as Size, constantSize(start)) ??
    notExpressible('index arithmetic on large shapes');
  const length = subtractSizes(stop, constantSize(start));
  return { ...grid, offset: addSizes(grid.offset, shift), shape: grid.shape.with(axis, length) };
}

/** Reads Pad with zeros, which is a shift where a slice of unknown size cuts off as much: the trigram's neighbours. */
export const pad: OperatorReader = (operation) => {
  const { to, inputs, name } = operation;
  const x = inputOf(operation, 0);
  const rank = knownShape(x).length;
  const given = knownSizes(inputOf(operation, 1)).map((size) => numberOf(size) ?? notExpressible('a computed padding'));
  if (!isZero(inputs[2])) notExpressible('padding with another number than 0');
  const mode = operation.node.attributes.get('mode');
  if (mode?.kind === 'text' && mode.value !== 'constant') notExpressible(`padding of mode ${mode.value}`);
  const axes = inputs[3] ? knownSizes(inputs[3]).map((axis) => knownAxis(numberOf(axis) ?? rank, rank)) : undefined;
  const before = new Array<number>(rank).fill(0);
  const after = new Array<number>(rank).fill(0);
  const count = given.length / 2;
  for (let i = 0; i < count; i++) {
    const axis = axes ? (axes[i] ?? rank) : i;
    before[axis] = given[i] as number;
    after[axis] = given[count + i] as number;
  }
  if ([...before, ...after].every((number) => number === 0)) return x;
  const axis = onlyAxis(before, after);
  if (x.kind === 'cut') {
    const offset = axis === x.axis ? shiftOf(x.start, x.stop, before[axis] as number, after[axis] as number) : null;
    return to.emit(
      'shift',
      [x.x],
      { axis: x.axis, offset: offset ?? notExpressible('padding of a slice of unknown size') },
      name,
    );
  }
  if (x.kind === 'node' && axis !== null && numberOf(x.shape[axis] as Size) === null) {
    return { kind: 'padded', x, axis, before: before[axis] as number, after: after[axis] as number };
  }
  return to.emit('pad', [x], { before, after }, name);
};

/** Axis along which zeros are added, where it is one. */
function onlyAxis(before: readonly number[], after: readonly number[]): number | null {
  const axes = before.flatMap((count, axis) => (count !== 0 || after[axis] !== 0 ? [axis] : []));
  return axes.length === 1 ? (axes[0] as number) : null;
}

/** Offset of y[t] = x[t + offset]: cut at one end and padded by as much at the other, all elements move. */
function shiftOf(start: number, stop: number, before: number, after: number): number | null {
  if (stop === 0 && before === 0 && start === after) return start;
  return start === 0 && after === 0 && stop === before ? -stop : null;
}

function isZero(value: Value | undefined): boolean {
  if (value === undefined) return true;
  if (value.kind !== 'tensor') return asList(value)?.elements.every((element) => element.size === 0) ?? false;
  const stored = readF32(value.tensor)[0] ?? 0;
  const { quant } = value;
  return (quant?.per === 'tensor' ? stored - quant.zeroPoint : stored) === 0;
}
