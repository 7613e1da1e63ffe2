import type { Loader } from '../../src/pipelines/evaluate/in-turn.ts';
import type { InputShape, Running } from '../../src/pipelines/evaluate/running.ts';

/** A loader of a model that is there already. */
export function loaderOf(model: Running): Loader {
  return { load: async () => model, remove: () => {} };
}

/** Shape of a loaded model's token inputs. */
export function shapeOf({ path, session }: Running): InputShape {
  return { path, shape: session.inputs[0]?.shape ?? [] };
}
