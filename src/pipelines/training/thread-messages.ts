import type { ErrorCode } from '../../errors.ts';
import type { DType, Tensor } from '../../ir/tensor.ts';
import type { TensorInfo } from '../../runtimes/runtime.ts';
import type { PartRuns, RunParameter } from './part-runs.ts';

/** What a thread that computes gradients is started with. */
export interface GradientWorkerData {
  /** Path of the model. */
  readonly path: string;
  /** Name of the model in errors. */
  readonly name: string;
  readonly threads: number;
  /** Most values that a run computes. */
  readonly values: number;
  /** What runs are fed; the arrays lie in shared memory and may change between two batches. */
  readonly parameters: readonly RunParameter[];
  /** Arrays in shared memory that take the sums of gradients. */
  readonly sums: PartRuns['sums'];
}

/** A tensor with its name, as messages carry it. */
export interface SentTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** What the thread is told. */
export type GradientRequest =
  | {
      readonly kind: 'run';
      readonly parts: readonly { readonly feeds: readonly SentTensor[]; readonly share: number }[];
    }
  | { readonly kind: 'close' };

/** What it answers. An error without a code is a bug. */
export type GradientAnswer =
  | { readonly kind: 'opened'; readonly inputs: readonly TensorInfo[] }
  | { readonly kind: 'ran'; readonly outputs: readonly (readonly SentTensor[])[] }
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode | undefined;
      readonly message: string;
      readonly hint: string | undefined;
    };

export function sent(tensors: ReadonlyMap<string, Tensor>): SentTensor[] {
  return [...tensors].map(([name, tensor]) => {
    return { name, dtype: tensor.dtype, shape: tensor.shape, bytes: tensor.bytes() };
  });
}

export function received(tensors: readonly SentTensor[]): ReadonlyMap<string, Tensor> {
  return new Map(tensors.map(({ name, dtype, shape, bytes }) => [name, { dtype, shape, bytes: () => bytes }]));
}
