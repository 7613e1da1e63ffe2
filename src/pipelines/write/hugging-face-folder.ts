import { existsSync, readdirSync } from 'node:fs';
import { MbertError } from '../../errors.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import { indentedJson, numerals } from '../../formats/json-numerals.ts';
import { encodeSafetensors } from '../../formats/safetensors-encode.ts';
import { tokenizerFileNames } from '../../importers/tokenizer-files.ts';
import { decodeText } from '../../io/bytes.ts';
import { listFolder, type OutputFile, readWhole, writeFiles } from '../../io/files.ts';
import { type FittedTexts, fittedMetadata } from '../../opened/fitted-texts.ts';

/** Throws USAGE for a folder that holds anything: it could be the teacher's own, or would become part of the model. */
export function refuseFolder(folder: string): void {
  const [first] = exists(folder) ? readdirSync(folder) : [];
  if (first === undefined) return;
  throw new MbertError('USAGE', `-o ${folder}: holds ${first} already`, { hint: 'name a new or empty folder' });
}

function exists(folder: string): boolean {
  try {
    if (!listFolder(folder).isFolder) throw new MbertError('USAGE', `-o ${folder}: is a file`);
    return true;
  } catch (cause) {
    if (cause instanceof MbertError && cause.code === 'NOT_FOUND') return false;
    throw cause;
  }
}

/**
 * Writes a checkpoint as a Hugging Face folder: weights in f32, config and the tokenizer's files as they were. `fitted`
 * are the texts that its weights were fitted to, which the weights file says.
 */
export function writeStudent(
  folder: string,
  checkpoint: Checkpoint,
  fitted: readonly FittedTexts[] = [],
): Promise<{ path: string; size: number }[]> {
  return writeFiles(folder, filesOf(checkpoint, fitted));
}

async function* filesOf(
  { tensors, config, configPath, tokenizer }: Checkpoint,
  fitted: readonly FittedTexts[],
): AsyncIterable<OutputFile> {
  yield { name: 'model.safetensors', chunks: encodeSafetensors(tensors, fittedMetadata(fitted)) };
  yield { name: 'config.json', chunks: once(new TextEncoder().encode(configText(config, configPath))) };
  for (const part of Object.keys(tokenizerFileNames) as (keyof typeof tokenizerFileNames)[]) {
    const file = tokenizer[part];
    if (file) yield { name: tokenizerFileNames[part], chunks: once(file.bytes) };
  }
}

/** Writes a config, with numbers as its source writes them. */
function configText(config: Checkpoint['config'], source: string): string {
  const written = existsSync(source) ? decodeText(readWhole(source), source) : '{}';
  return `${indentedJson(config, numerals(written, source))}\n`;
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
