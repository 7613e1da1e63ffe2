import { type Dim, limitedDim, type Shape } from '../ir/shape.ts';

/** Masks of TensorFlow: bit i speaks of entry i of begin, end and strides. */
export interface SliceMasks {
  readonly begin: number;
  readonly end: number;
  readonly ellipsis: number;
  readonly newAxis: number;
  readonly shrink: number;
}

/** Steps of a strided_slice: first `cuts` along axes, then a reshape to `shape`, with axes dropped and added. */
export interface SlicePlan {
  readonly cuts: readonly { readonly axis: number; readonly start: number; readonly end: Dim }[];
  readonly shape: Shape;
}

/**
 * Plans x[begin:end] as https://www.tensorflow.org/api_docs/python/tf/strided_slice describes it; TFLite has the same
 * op. Null where it strides, or where the sizes are not known well enough.
 */
export function planStridedSlice(
  shape: Shape,
  {
    begin,
    end,
    strides,
    masks,
  }: { begin: readonly Dim[]; end: readonly Dim[]; strides: readonly Dim[]; masks: SliceMasks },
): SlicePlan | null {
  const count = begin.length;
  if (end.length !== count || strides.length !== count || count > 31) return null;
  const added = bits(masks.newAxis, count).length;
  const cuts: { axis: number; start: number; end: Dim }[] = [];
  const result: Dim[] = [];
  let axis = 0;
  for (let i = 0; i < count; i++) {
    const has = (mask: number) => (mask & (1 << i)) !== 0;
    if (has(masks.ellipsis)) {
      const rest = shape.length - (count - 1 - added);
      for (let k = 0; k < rest; k++) result.push(shape[axis++] as Dim);
      continue;
    }
    if (has(masks.newAxis)) {
      result.push(1);
      continue;
    }
    const size = shape[axis];
    if (size === undefined || (strides[i] !== 1 && !has(masks.shrink))) return null;
    const start = has(masks.begin) ? 0 : clamp(begin[i] as Dim, size);
    if (start === null) return null;
    if (has(masks.shrink)) {
      cuts.push({ axis, start, end: start + 1 });
    } else {
      const stop = has(masks.end) ? size : endOf(end[i] as Dim, size, start);
      if (stop === null || (start !== 0 && typeof stop !== 'number')) return null;
      if (typeof stop === 'number' && stop <= start) return null;
      if (start !== 0 || stop !== size) cuts.push({ axis, start, end: stop });
      result.push(typeof stop === 'number' ? stop - start : stop);
    }
    axis++;
  }
  result.push(...shape.slice(axis));
  return { cuts, shape: result };
}

function bits(mask: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => i).filter((i) => (mask & (1 << i)) !== 0);
}

/** A start moved to between 0 and the size; negative ones count from the end. */
function clamp(start: Dim, size: Dim): number | null {
  if (typeof start !== 'number') return null;
  if (typeof size !== 'number') return start >= 0 ? start : null;
  return Math.min(Math.max(start < 0 ? start + size : start, 0), size);
}

/**
 * End of a slice. Of a symbolic size it is known only at its whole length or where it is cut to a number, which may be
 * beyond the size; one element is taken to be there.
 */
function endOf(end: Dim, size: Dim, start: number): Dim | null {
  if (end === size) return size;
  if (typeof end !== 'number') return end;
  if (typeof size === 'number') return clamp(end, size);
  if (end === start + 1) return end;
  return start === 0 && end > 0 ? limitedDim(size, end) : null;
}
