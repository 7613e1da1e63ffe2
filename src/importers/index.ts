import { MbertError } from '../errors.ts';
import { listFolder, type ModelFile, openFile } from '../io/files.ts';
import { adapterAlone, onBase } from './adapter.ts';
import { type FolderContent, findModel, notThere } from './find-model.ts';
import { graphdef } from './graphdef.ts';
import { HEAD_BYTES, type Importer, type Source } from './importer.ts';
import { kerasH5 } from './keras-h5.ts';
import { onnx } from './onnx.ts';
import { pytorch } from './pytorch.ts';
import { safetensors } from './safetensors.ts';
import { savedModel } from './saved-model.ts';
import { tf1Checkpoint } from './tf1-checkpoint.ts';
import { tfjs } from './tfjs.ts';
import { tflite } from './tflite.ts';

/** Source formats; where a folder holds several, the first one is read. */
export const importers: readonly Importer[] = [
  safetensors,
  pytorch,
  kerasH5,
  tf1Checkpoint,
  onnx,
  savedModel,
  tflite,
  tfjs,
  graphdef,
];

/** How a source is opened. */
export interface SourceOptions {
  /** The model that an adapter was trained on. */
  readonly base?: string | undefined;
}

/**
 * Opens a model folder or file of any known format; the source keeps its files open until it is closed. Throws
 * NOT_FOUND, UNKNOWN_FORMAT or what is wrong with the file.
 */
export async function openSource(path: string, { base }: SourceOptions = {}): Promise<Source> {
  const content = contentOf(path);
  if (content !== undefined && 'adapter' in content) return openAdapter(content.adapter, base);
  if (base !== undefined) {
    throw new MbertError('USAGE', `--base: is for adapters, ${path} is a whole model`);
  }
  if (content === undefined) return openModelFile(openFile(path));
  const source = await openModelFile(openFile(content.path), content.importer);
  return withNotes(source, content.notes);
}

/** Content of the folder `path`; undefined where `path` is a file. */
function contentOf(path: string): FolderContent | undefined {
  try {
    return listFolder(path).isFolder ? findModel(path, importers) : undefined;
  } catch (cause) {
    throw cause instanceof MbertError && cause.code === 'NOT_FOUND' ? notThere(path, cause) : cause;
  }
}

async function openAdapter(folder: string, base: string | undefined): Promise<Source> {
  if (base === undefined) throw adapterAlone(folder);
  const source = await openSource(base);
  if (source.yields === 'checkpoint') return { ...source, checkpoint: onBase(folder, source.checkpoint) };
  source.close();
  throw new MbertError('USAGE', `--base: ${base} is a graph, adapters change weights`);
}

function withNotes(source: Source, notes: readonly string[]): Source {
  if (source.yields === 'graph') return { ...source, notes: [...notes, ...(source.notes ?? [])] };
  return { ...source, checkpoint: { ...source.checkpoint, notes: [...notes, ...source.checkpoint.notes] } };
}

const KNOWN = `known formats: ${importers.map(({ name }) => name).join(', ')}`;

async function openModelFile(file: ModelFile, ofFolder?: Importer): Promise<Source> {
  let importer: Importer | undefined;
  try {
    const head = file.read(0, Math.min(file.size, HEAD_BYTES));
    refuseStandIns(head, file.path);
    importer = ofFolder ?? importers.find(({ detect }) => detect(head, file));
    if (importer === undefined)
      throw new MbertError('UNKNOWN_FORMAT', `${file.path}: is no model that mbert knows`, { hint: KNOWN });
  } catch (cause) {
    file.close();
    throw cause;
  }
  return importer.read(file);
}

/** Files that stand in a model's place when fetching it went wrong. */
const STAND_INS = [
  {
    start: /^version https:\/\/git-lfs\.github\.com\//,
    what: 'is a Git LFS pointer, not the model',
    hint: 'run: git lfs pull',
  },
  {
    start: /^\s*<(?:!doctype|html)\b/i,
    what: 'is an HTML page, not the model',
    hint: 'the download failed; fetch the file again',
  },
];

function refuseStandIns(head: Uint8Array, path: string): void {
  const text = Buffer.from(head).toString('latin1');
  for (const { start, what, hint } of STAND_INS) {
    if (start.test(text)) throw new MbertError('MALFORMED', `${path}: ${what}`, { hint });
  }
}
