import { MbertError, nearest } from '../errors.ts';
import { type Shape, shapeText } from '../ir/shape.ts';
import { convertTensor, type DType, type Tensor } from '../ir/tensor.ts';

/** An input or output as the loaded model declares it; symbols are the model's own names. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** A loaded model. Runs do not overlap: await one before the next. */
export interface RuntimeSession {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /**
   * Runs the model once and returns the `wanted` outputs, by default all, in that order. 32-bit and 64-bit ids are
   * taken for one another. Throws MISMATCH where feeds or output names do not fit the model.
   */
  run(feeds: ReadonlyMap<string, Tensor>, wanted?: readonly string[]): Promise<ReadonlyMap<string, Tensor>>;
  /** Frees the model's memory; further calls do nothing. */
  close(): Promise<void>;
}

export interface LoadOptions {
  /** Name in errors of a model that is given as bytes. */
  readonly name?: string;
  /** Threads, of ONNX Runtime only: LiteRT in WebAssembly has one. Default: as many as there are cores. */
  readonly threads?: number;
  /**
   * False lets threads sleep that wait for work, so that a core is free between runs. ONNX Runtime only. Default: true.
   */
  readonly spinning?: boolean;
  /**
   * False computes on weights as they are stored, which stay in the mapped file where they lie beside the model; runs take
   * an eighth longer. ONNX Runtime only. Default: true, they are copied into the order in which kernels read them.
   */
  readonly prepacking?: boolean;
  /** Path to which ONNX Runtime writes the graph as it optimized it. */
  readonly optimizedModelPath?: string;
  /** False runs the graph as it is written. ONNX Runtime only. Default: true. */
  readonly graphOptimization?: boolean;
  /** Start of the path of a JSON file to which ONNX Runtime writes the times of each node at `close`. */
  readonly profilePath?: string;
}

/** A real runtime. Its package is optional and imported at first use: without it, calls throw USAGE. */
export interface Runtime {
  readonly name: 'onnxruntime' | 'litert' | 'tfjs';
  version(): Promise<string>;
  /** Loads a model from a path or from bytes. Prefer the path: ONNX Runtime then holds no second copy. */
  load(model: string | Uint8Array, options?: LoadOptions): Promise<RuntimeSession>;
}

/** Imports an optional package; where that fails, the error says how to get it. */
export async function importOptional<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new MbertError('USAGE', `${name}: cannot be loaded: ${firstLine(cause)}`, {
      hint: `npm install ${name}`,
      cause,
    });
  }
}

/** Name of a model in errors. */
export function modelName(model: string | Uint8Array, options: LoadOptions): string {
  return options.name ?? (typeof model === 'string' ? model : 'model');
}

/** A runtime's complaint without its stack and source positions. */
export function firstLine(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split('\n', 1)[0] ?? '';
}

/** Puts feeds in the model's order and dtypes. Throws MISMATCH for a missing, foreign or misshapen one. */
export function fitFeeds(
  model: string,
  inputs: readonly TensorInfo[],
  feeds: ReadonlyMap<string, Tensor>,
): Map<string, Tensor> {
  const names = inputs.map(({ name }) => name);
  for (const name of feeds.keys()) {
    if (!names.includes(name)) throw unknownName(model, 'input', name, names);
  }
  const fitted = new Map<string, Tensor>();
  for (const input of inputs) {
    const feed = feeds.get(input.name);
    if (feed === undefined) throw new MbertError('MISMATCH', `${model}: input ${input.name}: is not given`);
    if (!takesShape(input.shape, feed.shape)) {
      const wanted = `${input.dtype}${shapeText(input.shape)}`;
      throw new MbertError(
        'MISMATCH',
        `${model}: input ${input.name}: is ${wanted}, not ${feed.dtype}${shapeText(feed.shape)}`,
      );
    }
    fitted.set(input.name, takeDtype(model, input, feed));
  }
  return fitted;
}

/** Names of the outputs to fetch. Throws MISMATCH for one that the model does not have. */
export function wantedOutputs(
  model: string,
  outputs: readonly TensorInfo[],
  wanted: readonly string[] | undefined,
): readonly string[] {
  const names = outputs.map(({ name }) => name);
  for (const name of wanted ?? []) {
    if (!names.includes(name)) throw unknownName(model, 'output', name, names);
  }
  return wanted ?? names;
}

function unknownName(model: string, kind: string, name: string, names: readonly string[]): MbertError {
  const close = nearest(name, names);
  return new MbertError('MISMATCH', `${model}: ${kind} ${name}: the model has none of this name`, {
    hint: close === undefined ? `it has ${names.join(', ')}` : `did you mean ${close}?`,
  });
}

/** True for a shape that fits the declared one; an undeclared one is reported as a scalar, so any fits that. */
function takesShape(declared: Shape, given: readonly number[]): boolean {
  if (declared.length === 0) return true;
  if (declared.length !== given.length) return false;
  return declared.every((dim, i) => typeof dim === 'string' || dim === given[i]);
}

function takeDtype(model: string, input: TensorInfo, feed: Tensor): Tensor {
  if (feed.dtype === input.dtype) return feed;
  const areIds = [feed.dtype, input.dtype].every((dtype) => dtype === 'i32' || dtype === 'i64');
  if (areIds) return convertTensor(feed, input.dtype);
  throw new MbertError('MISMATCH', `${model}: input ${input.name}: is ${input.dtype}, not ${feed.dtype}`);
}
