import { readdirSync } from 'node:fs';
import { MbertError } from '../../errors.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import { isObject, type JsonValue } from '../../formats/json.ts';
import { encodeSafetensors } from '../../formats/safetensors-encode.ts';
import { tokenizerFileNames } from '../../importers/tokenizer-files.ts';
import { listFolder, type OutputFile, writeFiles } from '../../io/files.ts';

/** Throws USAGE for a folder that holds other files than a model written before: they would become part of it. */
export function refuseFolder(folder: string): void {
  const names = exists(folder) ? readdirSync(folder) : [];
  const other = names.find((name) => !WRITTEN.has(name));
  if (other === undefined) return;
  throw new MbertError('USAGE', `-o ${folder}: holds ${other} already`, { hint: 'name a new or empty folder' });
}

const WRITTEN: ReadonlySet<string> = new Set([
  'config.json',
  'model.safetensors',
  ...Object.values(tokenizerFileNames),
]);

function exists(folder: string): boolean {
  try {
    if (!listFolder(folder).isFolder) throw new MbertError('USAGE', `-o ${folder}: is a file`);
    return true;
  } catch (cause) {
    if (cause instanceof MbertError && cause.code === 'NOT_FOUND') return false;
    throw cause;
  }
}

/** Writes a checkpoint as a Hugging Face folder: weights in f32, config and the tokenizer's files as they were. */
export function writeStudent(folder: string, checkpoint: Checkpoint): Promise<{ path: string; size: number }[]> {
  return writeFiles(folder, filesOf(checkpoint));
}

async function* filesOf({ tensors, config, tokenizer }: Checkpoint): AsyncIterable<OutputFile> {
  yield { name: 'model.safetensors', chunks: encodeSafetensors(tensors) };
  yield { name: 'config.json', chunks: once(new TextEncoder().encode(`${JSON.stringify(plain(config), null, 2)}\n`)) };
  for (const part of Object.keys(tokenizerFileNames) as (keyof typeof tokenizerFileNames)[]) {
    const file = tokenizer[part];
    if (file) yield { name: tokenizerFileNames[part], chunks: once(file.bytes) };
  }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

/** Turns maps into objects, which JSON.stringify prints. */
function plain(value: JsonValue): unknown {
  if (Array.isArray(value)) return value.map(plain);
  return isObject(value) ? Object.fromEntries([...value].map(([key, part]) => [key, plain(part)])) : value;
}
