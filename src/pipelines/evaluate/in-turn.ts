import type { Tensor } from '../../ir/tensor.ts';
import type { Running } from './running.ts';

/** A model that is loaded to be run and let go again, as often as it takes. */
export interface Loader {
  /** Loads the model; whoever calls it closes the session. */
  load(): Promise<Running>;
  /** Deletes temporary files; sessions are closed before. */
  remove(): void;
}

type Outputs = ReadonlyMap<string, Tensor>;

/** What is done with each row. */
export interface Turns {
  /** Number of rows. */
  readonly rows: number;
  /** Hears of each run, of two for a row. */
  readonly progress?: ((done: number, total: number) => void) | undefined;
  /** Runs the first model where it is not run like the second. */
  readonly runFirst?: Turns['run'];
  /** Runs a model on the row at `place`. */
  run(model: Running, place: number): Promise<Outputs>;
  /** Takes the outputs of both models for the row at `place`, in order of places. */
  use(place: number, first: Outputs, second: Outputs): void;
}

/**
 * Bytes of outputs of the first model that are kept until the second one has run: all of 64 rows but for scores of words
 * and inner values.
 */
const KEPT_BYTES = 2 ** 25;

/**
 * Runs two models on the same rows with one of them in memory at a time: the first on as many rows as outputs can be
 * kept of, then the second on these, and so on. The second is loaded last, as ONNX Runtime keeps most of the memory of a
 * file with its weights inside when it is closed.
 */
export async function inTurn(first: Loader, second: Loader, turns: Turns): Promise<void> {
  let done = 0;
  const counted = (run: Turns['run']) => async (model: Running, place: number) => {
    const outputs = await run(model, place);
    turns.progress?.(++done, 2 * turns.rows);
    return outputs;
  };
  const [runFirst, runSecond] = [counted(turns.runFirst ?? turns.run), counted(turns.run)];
  for (let from = 0; from < turns.rows; ) {
    const kept: Outputs[] = [];
    let bytes = 0;
    await whileLoaded(first, async (model) => {
      while (from + kept.length < turns.rows && bytes < KEPT_BYTES) {
        const outputs = await runFirst(model, from + kept.length);
        for (const tensor of outputs.values()) bytes += tensor.bytes().byteLength;
        kept.push(outputs);
      }
    });
    await whileLoaded(second, async (model) => {
      for (const [i, outputs] of kept.entries()) turns.use(from + i, outputs, await runSecond(model, from + i));
    });
    from += kept.length;
  }
}

/** Runs `work` with a model, which is closed behind it. */
export async function whileLoaded<T>(loader: Loader, work: (model: Running) => Promise<T>): Promise<T> {
  const model = await loader.load();
  try {
    return await work(model);
  } finally {
    await model.session.close();
  }
}
