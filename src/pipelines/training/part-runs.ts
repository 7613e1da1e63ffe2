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
  /**
   * Number of sums that gradients are added up in, each of every so many-th part, before these are added: parts come in
   * multiples of it. Lanes may run side by side; the order of additions, and with it the last digit, is the same where
   * they do not.
   */
  readonly lanes: number;
  /** Σ share · gradient over the parts of the latest call, by the gradients' names. */
  readonly sums: ReadonlyMap<string, Float32Array>;
  /** Runs a batch; gives the outputs of each part that are not summed. */
  run(parts: readonly Part[]): Promise<readonly ReadonlyMap<string, Tensor>[]>;
  close(): Promise<void>;
}

/** Runs the parts one after the other in this thread, whatever the lanes. `close` closes the session. */
export function sequentialRuns(
  session: RuntimeSession,
  parameters: readonly RunParameter[],
  {
    values,
    lanes = 1,
    sums = emptySums(parameters),
  }: { readonly values: number; readonly lanes?: number; readonly sums?: PartRuns['sums'] },
): PartRuns {
  const laneSums = [sums, ...Array.from({ length: lanes - 1 }, () => emptySums(parameters))];
  return {
    inputs: session.inputs,
    values,
    lanes,
    sums,
    async run(parts) {
      for (const own of laneSums) for (const sum of own.values()) sum.fill(0);
      const others: ReadonlyMap<string, Tensor>[] = [];
      for (const [i, { feeds, share }] of parts.entries()) {
        const all = new Map(feeds);
        for (const { input, shape, values: present } of parameters) all.set(input, tensorOf('f32', shape, present));
        const outputs = await session.run(all);
        for (const [name, sum] of laneSums[i % lanes] as PartRuns['sums'])
          addScaled(sum, readF32(outputs.get(name) as Tensor), share);
        others.push(new Map([...outputs].filter(([name]) => !sums.has(name))));
      }
      addLanes(laneSums);
      return others;
    },
    close: () => session.close(),
  };
}

/** Adds the sums of all lanes to those of the first. */
export function addLanes([first, ...others]: readonly PartRuns['sums'][]): void {
  for (const more of others) {
    for (const [gradient, sum] of first as PartRuns['sums']) addTo(sum, more.get(gradient) as Float32Array);
  }
}

function addTo(sum: Float32Array, values: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (values[i] as number);
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
