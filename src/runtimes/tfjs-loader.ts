import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import { importOptional } from './runtime.ts';

const BACKEND = '@tensorflow/tfjs-backend-wasm';

/** Packages that make a runtime together, as npm takes them. */
export const TFJS_PACKAGES = `@tensorflow/tfjs-core @tensorflow/tfjs-converter ${BACKEND}`;

export interface Tfjs {
  readonly core: typeof import('@tensorflow/tfjs-core');
  readonly converter: typeof import('@tensorflow/tfjs-converter');
}

/** Loads TF.js with its WebAssembly backend, one thread. */
export function loadTfjs(): Promise<Tfjs> {
  return importOptional(TFJS_PACKAGES, async () => {
    const [core, converter, { setThreadsCount, setWasmPaths }] = await Promise.all([
      import('@tensorflow/tfjs-core'),
      import('@tensorflow/tfjs-converter'),
      import('@tensorflow/tfjs-backend-wasm'),
    ]);
    if (core.getBackend() !== 'wasm') {
      setWasmPaths(dirname(createRequire(import.meta.url).resolve(BACKEND)) + sep);
      setThreadsCount(1);
      await core.setBackend('wasm');
    }
    return { core, converter };
  });
}
