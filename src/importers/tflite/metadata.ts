import { inflateRawSync } from 'node:zlib';
import { MbertError, malformed } from '../../errors.ts';
import { bufferContent, decodeFlatbuffer } from '../../formats/tflite/decode.ts';
import { type ModelMetadata, modelMetadataRoot } from '../../formats/tflite/generated/metadata.ts';
import type { Model } from '../../formats/tflite/generated/model.ts';
import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import { type ArchiveEntry, readArchive } from '../../formats/zip-directory.ts';
import { decodeText } from '../../io/bytes.ts';
import type { ModelFile } from '../../io/files.ts';

/** Metadata of a TFLite file that its texts need. */
export interface TextMetadata {
  /** The vocabulary, and whether texts are lower-cased, as files that mbert wrote say. */
  readonly tokenizer: Pick<TokenizerFiles, 'vocabulary' | 'lowerCase'>;
  /** Names of the classes, in order. */
  readonly labels: readonly string[] | undefined;
}

/** Most bytes of a file: the largest vocabulary in use (a million words of many scripts) is below 20 MB. */
const MAX_FILE_BYTES = 64 * 2 ** 20;

/**
 * Reads the vocabulary and the labels that TFLITE_METADATA names from the ZIP that follows the FlatBuffer, and what mbert
 * itself wrote of the texts.
 */
export function readTextMetadata(file: ModelFile, model: Model): TextMetadata {
  const lowerCase = lowerCaseOf(contentOf(file, model, 'mbert'));
  const bytes = contentOf(file, model, 'TFLITE_METADATA');
  if (bytes === undefined) return { tokenizer: { ...(lowerCase !== undefined && { lowerCase }) }, labels: undefined };
  const metadata = decodeFlatbuffer(modelMetadataRoot, bytes, `${file.path}: TFLITE_METADATA`);
  const vocabulary = vocabularyName(metadata);
  const labels = labelsName(metadata);
  const archive = vocabulary === undefined && labels === undefined ? undefined : readArchive(file);
  const read = (name: string | undefined) =>
    name === undefined || archive === undefined ? undefined : readEntry(file, archive, name);
  const lines = read(labels);
  const words = read(vocabulary);
  return {
    tokenizer: {
      ...(lowerCase !== undefined && { lowerCase }),
      ...(words && { vocabulary: { what: `${file.path}: ${vocabulary}`, bytes: words } }),
    },
    labels: lines && decodeText(lines, `${file.path}: ${labels}`).trimEnd().split(/\r?\n/),
  };
}

/** Bytes of a metadata entry, undefined for empty ones. */
function contentOf(file: ModelFile, { metadata, buffers }: Model, wanted: string): Uint8Array | undefined {
  const entry = metadata?.find(({ name }) => name === wanted);
  return entry && bufferContent(file, buffers?.[entry.buffer], wanted)?.bytes();
}

/** `mbert.lower_case` of mbert's own entry; one of that name which is none of mbert's says nothing. */
function lowerCaseOf(bytes: Uint8Array | undefined): boolean | undefined {
  const said = bytes && /"mbert\.lower_case":"(true|false)"/.exec(Buffer.from(bytes).toString('latin1'))?.[1];
  return said === undefined ? undefined : said === 'true';
}

function vocabularyName({ subgraphMetadata }: ModelMetadata): string | undefined {
  for (const { options } of subgraphMetadata?.[0]?.inputProcessUnits ?? []) {
    const file = options?.value.vocabFile?.[0];
    if (file?.name !== undefined) return file.name;
  }
  return undefined;
}

function labelsName({ subgraphMetadata }: ModelMetadata): string | undefined {
  const files = (subgraphMetadata?.[0]?.outputTensorMetadata ?? []).flatMap(
    ({ associatedFiles }) => associatedFiles ?? [],
  );
  return files.find(({ type }) => type === 'TENSOR_AXIS_LABELS')?.name;
}

function readEntry(file: ModelFile, archive: ReadonlyMap<string, ArchiveEntry>, name: string): Uint8Array {
  const entry = archive.get(name);
  if (entry === undefined) throw malformed(file.path, `metadata names ${name}, which is not in its ZIP`);
  if (Math.max(entry.size, entry.storedSize) > MAX_FILE_BYTES)
    throw malformed(file.path, `${name}: is over ${MAX_FILE_BYTES} bytes`);
  const bytes = file.read(entry.dataStart(), entry.storedSize);
  if (entry.method === 'stored') return bytes;
  try {
    return new Uint8Array(inflateRawSync(bytes, { maxOutputLength: entry.size }));
  } catch (cause) {
    throw new MbertError('MALFORMED', `${file.path}: ${name}: cannot be inflated`, { cause });
  }
}
