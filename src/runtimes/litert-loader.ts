import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import { runInThisContext } from 'node:vm';
import { importOptional } from './runtime.ts';

export interface LiteRt {
  readonly module: typeof import('@litertjs/core');
  readonly version: string;
  /** Size of the WebAssembly instance's memory, which only grows; 0 where somebody else has made the instance. */
  memoryBytes(): number;
}

/** Loads @litertjs/core, which keeps one WebAssembly instance per process: later calls get the same. */
export function loadLiteRt(): Promise<LiteRt> {
  return importOptional('@litertjs/core', async () => {
    const module = await import('@litertjs/core');
    const require = createRequire(import.meta.url);
    const manifest = require.resolve('@litertjs/core/package.json');
    const { version } = require(manifest) as { version: string };
    const wasmFolder = join(dirname(manifest), 'wasm') + sep;
    const start = () => module.loadLiteRt(wasmFolder, { threads: false });
    await (module.getGlobalLiteRtPromise() ?? asInBrowser(() => withoutGpuWarning(start)));
    return { module, version, memoryBytes: () => instance?.HEAPU8?.byteLength ?? 0 };
  });
}

/** Part of what Emscripten's script makes: a view of all memory, another one after each growth. */
interface WasmInstance {
  readonly HEAPU8?: Uint8Array;
}

/** WebAssembly instance of the process, once it is there. */
let instance: WasmInstance | undefined;

/** Globals that the package's loader expects of a browser's worker and that TypeScript's Node library lacks. */
type WorkerGlobals = typeof globalThis & {
  self?: unknown;
  importScripts?: (path: string) => void;
  ModuleFactory?: unknown;
  Module?: unknown;
};
const GLOBALS = ['self', 'importScripts', 'ModuleFactory', 'Module'] as const;

/** Runs `task` with the globals of a browser's worker and puts back what was there before. */
async function asInBrowser<T>(task: () => Promise<T>): Promise<T> {
  const scope: WorkerGlobals = globalThis;
  const before = GLOBALS.map((name) => [name, Object.getOwnPropertyDescriptor(scope, name)] as const);
  scope.self = scope;
  scope.importScripts = importScript;
  try {
    return await task();
  } finally {
    for (const [name, descriptor] of before) {
      if (descriptor === undefined) delete scope[name];
      else Object.defineProperty(scope, name, descriptor);
    }
  }
}

/** Runs Emscripten's script as a CommonJS module. */
function importScript(path: string): void {
  const source = readFileSync(path, 'utf8');
  const run = runInThisContext(`(function (exports, require, module, __filename, __dirname) {${source}\n})`, {
    filename: path,
  }) as (...names: readonly unknown[]) => void;
  const module: { exports: unknown } = { exports: {} };
  run(module.exports, createRequire(path), module, path, dirname(path));
  const factory = module.exports as (options: object) => Promise<WasmInstance>;
  // Native code logs its every step ("INFO: Created TensorFlow Lite XNNPACK delegate"); what fails is thrown as well.
  const silent = { print: () => {}, printErr: () => {} };
  (globalThis as WorkerGlobals).ModuleFactory = async () => {
    instance = await factory(silent);
    return instance;
  };
}

/** Runs `task` without the package's warning that there is no GPU: only the CPU is asked for. */
async function withoutGpuWarning<T>(task: () => Promise<T>): Promise<T> {
  const { warn } = console;
  console.warn = (...words: unknown[]) => {
    if (words[0] !== 'Failed to create default WebGPU device:') warn.apply(console, words);
  };
  try {
    return await task();
  } finally {
    console.warn = warn;
  }
}
