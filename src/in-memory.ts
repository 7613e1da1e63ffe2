import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MbertError } from './errors.ts';
import { siblingPath } from './io/files.ts';
import { makeTemporaryFolder } from './io/temporary-folder.ts';
import { type ConvertOptions, type ConvertResult, convert } from './pipelines/convert/convert.ts';
import { type QuantizeOptions, type QuantizeResult, quantize } from './pipelines/quantize/quantize.ts';

/** Files in memory by their names, as a folder would hold them: `{ 'config.json': …, 'model.safetensors': … }`. */
export type Files = { readonly [name: string]: Uint8Array };

/** Options of a call whose source and result are bytes; the files that other options name stay paths. */
export type InMemoryOptions<O> = Omit<O, 'source' | 'output' | 'force' | 'dryRun'> & {
  /** The files of a checkpoint or model; one file alone is the model. */
  readonly source: Files;
  /** Format to write. */
  readonly format: 'onnx' | 'tflite';
};

/** Result of a call in memory. */
export interface InMemoryResult<R> {
  /** The written files: the model, `model.onnx` or `model.tflite`, and its external data if any. */
  readonly files: Files;
  readonly result: R;
}

/**
 * Converts a source in memory, by way of a temporary folder that is gone when the call ends: runtimes and readers of
 * large models work on files. Throws what `convert` throws.
 */
export function convertInMemory(options: InMemoryOptions<ConvertOptions>): Promise<InMemoryResult<ConvertResult>> {
  return inFolder(options, (paths) => convert({ ...options, ...paths }));
}

/** Quantizes a source in memory, as `convertInMemory` converts one. Throws what `quantize` throws. */
export function quantizeInMemory(options: InMemoryOptions<QuantizeOptions>): Promise<InMemoryResult<QuantizeResult>> {
  return inFolder(options, (paths) => quantize({ ...options, ...paths }));
}

async function inFolder<R>(
  { source, format }: { readonly source: Files; readonly format: 'onnx' | 'tflite' },
  work: (paths: { readonly source: string; readonly output: string }) => Promise<R>,
): Promise<InMemoryResult<R>> {
  const folder = makeTemporaryFolder('memory');
  try {
    const input = join(folder.path, 'source');
    const output = join(folder.path, 'written');
    const result = await work({ source: placed(source, input), output: join(output, `model.${format}`) });
    const files = readdirSync(output).map((name) => [name, new Uint8Array(readFileSync(join(output, name)))] as const);
    return { files: Object.fromEntries(files), result };
  } finally {
    folder.remove();
  }
}

/** Writes the source's files into a folder, and returns the path to read: of one file alone its own. */
function placed(source: Files, folder: string): string {
  const names = Object.keys(source);
  if (names.length === 0) throw new MbertError('USAGE', 'source: has no files');
  for (const [name, bytes] of Object.entries(source)) {
    // Modules of sentence-transformers lie in folders of their own.
    const path = name.split('/').reduce((base, step) => siblingPath(join(base, step), step), folder);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  }
  return names.length === 1 ? join(folder, names[0] as string) : folder;
}
