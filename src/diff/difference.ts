/** Kinds by which differences are gated. Inputs and outputs are structure. */
export const KINDS = ['structure', 'weights', 'quant', 'metadata', 'size', 'numeric'] as const;
export type Kind = (typeof KINDS)[number];

/** Names that one thing has in the two graphs. */
export interface Names {
  readonly a: string;
  readonly b: string;
}

export interface NodeRef {
  readonly name: string;
  readonly op: string;
}

/** A place where a value is read: the reader's input, as `weight` or `bias`, or `output` for an output of the model. */
export interface Reader {
  readonly node: Names;
  readonly input: string;
  /** Name of the value read in a, and in b; null where there is none, as for a bias that has gone. */
  readonly from: string | null;
  readonly to: string | null;
}

/** Connected nodes that only one side has; `replaced` where both have some in the same place. */
export interface NodesDifference {
  readonly kind: 'structure';
  readonly change: 'added' | 'removed' | 'replaced';
  readonly a: readonly NodeRef[];
  readonly b: readonly NodeRef[];
  /** Nodes that both sides have and that read these, or did. */
  readonly readers: readonly Reader[];
}

/** Nodes that read another value, all the same one. */
export interface RewiredDifference {
  readonly kind: 'structure';
  readonly change: 'rewired';
  readonly readers: readonly Reader[];
}

/** A node that reads the same values in another order. */
export interface OperandsDifference {
  readonly kind: 'structure';
  readonly change: 'operands-swapped';
  readonly node: Names;
  readonly op: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
}

export interface AttributesDifference {
  readonly kind: 'structure';
  readonly change: 'attributes';
  readonly node: Names;
  readonly op: string;
  readonly attributes: readonly { readonly name: string; readonly from: AttrValue; readonly to: AttrValue }[];
}
export type AttrValue = number | boolean | string | readonly (number | string)[] | null;

export type PortChange = `${'input' | 'output'}-${'added' | 'removed'}`;

/** An input or output of the whole model. */
export interface PortDifference {
  readonly kind: 'structure';
  readonly change: PortChange;
  readonly name: string;
  readonly type: string;
  /** Nodes that came or went with the port; `readers` are those that read them. */
  readonly nodes: readonly NodeRef[];
  readonly readers: readonly Reader[];
}

/** Other names of inputs or outputs: another one for the same value, or the names in another order. */
export interface PortNamesDifference {
  readonly kind: 'structure';
  readonly change: `${'input' | 'output'}-renamed` | `${'inputs' | 'outputs'}-${'swapped' | 'reordered'}`;
  readonly from: readonly string[];
  readonly to: readonly string[];
}

export interface InputTypeDifference {
  readonly kind: 'structure';
  readonly change: 'input-type';
  readonly input: Names;
  readonly from: string;
  readonly to: string;
}

export type StructureDifference =
  | NodesDifference
  | RewiredDifference
  | OperandsDifference
  | AttributesDifference
  | PortDifference
  | PortNamesDifference
  | InputTypeDifference;

/** Distance of b's values from a's. */
export interface ValueError {
  /** Largest distance max |a - b|; null where it is infinite or not a number. */
  readonly maxAbs: number | null;
  /** Ratio max |a - b| / max |a|; null where a is all zeros or maxAbs is null. */
  readonly relative: number | null;
  /** Signal to noise, 10·log10(Σa² / Σ(a - b)²); null where it is infinite. */
  readonly sqnrDb: number | null;
  /** Number of elements that differ. */
  readonly changed: number;
  readonly elements: number;
}

/** A constant in the same place of both graphs, with other values. */
export interface WeightDifference {
  readonly kind: 'weights';
  /**
   * Kind of change. `values`: nothing simpler. `zeroed`: b is all zeros; `filled`: a is. `scaled`: b is a times
   * `factors`. `permuted`: the same rows (along `axis`) in another order. `rounded`: b is what a gives in `bits` with a
   * scale for each row (along `axis`), but stored as floats; `unrounded`: a is. `dtype`: a's values as far as the other
   * type holds them. `shape`: another shape.
   */
  readonly change:
    | 'values'
    | 'zeroed'
    | 'filled'
    | 'scaled'
    | 'permuted'
    | 'transposed'
    | 'rounded'
    | 'unrounded'
    | 'dtype'
    | 'shape';
  readonly tensor: Names;
  /** Type in a, as `f32[512, 128]`. */
  readonly from: string;
  readonly to: string;
  /** Distance of the values; null where they cannot be compared: shapes differ, or graph text gave only a hash. */
  readonly error: ValueError | null;
  /** Least and largest factor, for `scaled`. */
  readonly factors?: readonly [number, number];
  /**
   * Axis of the rows, for `permuted`, `rounded` and `unrounded`, and for `scaled` where each row has its own factor.
   */
  readonly axis?: number;
  readonly bits?: number;
  /** The values themselves where there are few. */
  readonly values?: { readonly a: readonly number[]; readonly b: readonly number[] };
}

/** Constants in one another's place, as of two layers that were swapped. */
export interface MovedDifference {
  readonly kind: 'weights';
  /** Kind of change. `exchanged`: the names stayed, the values went. `moved`: any other. */
  readonly change: 'moved' | 'exchanged';
  /** Parts by which the names differ: `layer.2` and `layer.3`. Empty where they have no such pattern. */
  readonly between: readonly string[];
  /** Constants of a: in the place of `tensor`, b has the values that `holds` has in a. */
  readonly tensors: readonly { readonly tensor: string; readonly holds: string }[];
}

export interface QuantDifference {
  readonly kind: 'quant';
  /**
   * Kind of change. `scheme`: one side is not quantized. `granularity`: per tensor, channel or block. `storage`:
   * another integer type. The first that applies of: scheme, granularity, storage, scales, zero-points.
   */
  readonly change: 'scheme' | 'granularity' | 'storage' | 'scales' | 'zero-points';
  readonly of: 'weight' | 'activation';
  readonly value: Names;
  /** Storage in a, as `f32` or `i8 per channel 0, 512 scales 0.0012…0.034`. */
  readonly from: string;
  readonly to: string;
  /** Error of the real values of a weight: null for activations and where only hashes are known. */
  readonly error: ValueError | null;
  /** Number of scales or zero points that differ, for these two changes where they are known. */
  readonly differing?: { readonly count: number; readonly of: number };
}

/** A fact of the whole model. */
export interface MetadataDifference {
  readonly kind: 'metadata';
  readonly change: 'metadata';
  readonly key: string;
  readonly from: string | null;
  readonly to: string | null;
}

/** The files differ in size by more than was allowed. */
export interface SizeDifference {
  readonly kind: 'size';
  readonly change: 'size';
  readonly fromBytes: number;
  readonly toBytes: number;
  readonly limitBytes: number;
}

/** An output whose values differ by more than the limit. */
export interface NumericDifference {
  readonly kind: 'numeric';
  readonly change: 'output';
  readonly output: Names;
  readonly maxAbsError: number | null;
  readonly limit: number;
  readonly sqnrDb: number | null;
  /**
   * The share of equal choices, 0 … 1: of rows whose largest value is at the same place, or of values that are decided
   * alike; null where there is nothing to choose.
   */
  readonly agreement: number | null;
  /** Says whether a choice is the largest value of a row or a decision on each value by itself. */
  readonly choices: 'largest' | 'decisions';
}

export type GraphDifference = StructureDifference | WeightDifference | MovedDifference | QuantDifference;
export type Difference = GraphDifference | MetadataDifference | SizeDifference | NumericDifference;
