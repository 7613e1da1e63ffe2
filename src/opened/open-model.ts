import { MbertError } from '../errors.ts';
import type { Source } from '../importers/importer.ts';
import { openSource } from '../importers/index.ts';
import type { Task } from '../models/index.ts';
import type { Target } from '../passes/index.ts';
import { fromCheckpoint } from './checkpoint-model.ts';
import { fromGraph } from './graph-model.ts';
import type { OpenedModel, OpenOptions } from './opened-model.ts';

/** Opens a source of any known format and reads what it is. Throws what the importers throw. */
export async function openModel(path: string, options: OpenOptions = {}): Promise<OpenedModel> {
  const source = await openSource(path);
  try {
    return source.yields === 'graph' ? await fromGraph(source, options) : fromCheckpoint(source.checkpoint, options);
  } catch (cause) {
    closeSource(source);
    throw cause;
  }
}

/** Opens one of two models: `--task` is for those that are checkpoints, a graph keeps the head that it has. */
export async function openOneOfTwo(path: string, task: Task | undefined): Promise<OpenedModel> {
  const source = await openSource(path);
  try {
    return source.yields === 'graph' ? await fromGraph(source, {}) : fromCheckpoint(source.checkpoint, { task });
  } catch (cause) {
    closeSource(source);
    throw cause;
  }
}

function closeSource(source: Source): void {
  if (source.yields === 'graph') source.close();
  else source.checkpoint.close();
}

/** The target of a file name, undefined for a folder. Throws USAGE for another extension. */
export function targetOf(path: string): Target | undefined {
  const extension = /\.([^./\\]+)$/.exec(path)?.[1]?.toLowerCase();
  if (extension === 'onnx' || extension === 'tflite') return extension;
  if (extension === undefined || path.endsWith('/')) return undefined;
  throw new MbertError('USAGE', `${path}: mbert writes .tflite and .onnx files, not .${extension}`, {
    hint: 'name a folder to get both',
  });
}
