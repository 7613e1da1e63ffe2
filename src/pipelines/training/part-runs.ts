import { readF32, type Tensor, tensorOf } from '../../ir/tensor.ts';
import type { RuntimeSession, TensorInfo } from '../../runtimes/runtime.ts';

/** A part of a batch, as large as one run takes. */
export interface Part {
  /** Values of all inputs but those that take trained arrays. */
  readonly feeds: ReadonlyMap<string, Tensor>;
  /** The share of the batch's texts that it has. */
  readonly share: number;
}

/** An array that runs are fed and whose gradient they give. */
export interface RunParameter {
  /** Name of the input that takes the present values. */
  readonly input: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
  /** Name of the output that has the gradient; undefined for what is not trained now. */
  readonly gradient: string | undefined;
}

/** Runs the parts of a batch and adds up what they give. */
export interface PartRuns {
  readonly inputs: readonly TensorInfo[];
  /** Most values that a run computes. */
  readonly values: number;
  /** Number of runs that go on at a time: parts come in multiples of it. */
  readonly lanes: number;
  /** Σ share · gradient over the parts of the latest call, by the gradients' names. */
  readonly sums: ReadonlyMap<string, Float32Array>;
  /** Runs a batch; gives the outputs of each part that are not summed. */
  run(parts: readonly Part[]): Promise<readonly ReadonlyMap<string, Tensor>[]>;
  close(): Promise<void>;
}

/** Runs the parts one after the other in this thread. `close` closes the session. */
export function sequentialRuns(
  session: RuntimeSession,
  parameters: readonly RunParameter[],
  { values, sums = emptySums(parameters) }: { readonly values: number; readonly sums?: PartRuns['sums'] },
): PartRuns {
  return {
    inputs: session.inputs,
    values,
    lanes: 1,
    sums,
    async run(parts) {
      for (const sum of sums.values()) sum.fill(0);
      const others: ReadonlyMap<string, Tensor>[] = [];
      for (const { feeds, share } of parts) {
        const all = new Map(feeds);
        for (const { input, shape, values: present } of parameters) all.set(input, tensorOf('f32', shape, present));
        const outputs = await session.run(all);
        for (const [name, sum] of sums) addScaled(sum, readF32(outputs.get(name) as Tensor), share);
        others.push(new Map([...outputs].filter(([name]) => !sums.has(name))));
      }
      return others;
    },
    close: () => session.close(),
  };
}

function emptySums(parameters: readonly RunParameter[]): PartRuns['sums'] {
  return new Map(
    parameters.flatMap(({ gradient, values }) =>
      gradient === undefined ? [] : [[gradient, new Float32Array(values.length)] as const],
    ),
  );
}

function addScaled(sum: Float32Array, values: Float32Array, scale: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + scale * (values[i] as number);
}
