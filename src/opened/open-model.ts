import type { Source } from '../importers/importer.ts';
import { openSource } from '../importers/index.ts';
import type { Task } from '../models/index.ts';
import type { OpenedModel, OpenOptions } from './opened-model.ts';

/** Opens a source of any known format and reads what it is. Throws what the importers throw. */
export function openModel(path: string, options: OpenOptions = {}): Promise<OpenedModel> {
  return openAs(path, () => options, options.base);
}

/** Opens one of two models: `--task` is for those that are checkpoints, a graph keeps the head that it has. */
export function openOneOfTwo(path: string, task: Task | undefined): Promise<OpenedModel> {
  return openAs(path, ({ yields }) => (yields === 'graph' ? {} : { task }));
}

async function openAs(path: string, optionsFor: (source: Source) => OpenOptions, base?: string): Promise<OpenedModel> {
  const source = await openSource(path, { base });
  try {
    const options = optionsFor(source);
    // Architectures and what raises graphs are much code, of which one model needs a half.
    if (source.yields === 'graph') return await (await import('./graph-model.ts')).fromGraph(source, options);
    return (await import('./checkpoint-model.ts')).fromCheckpoint(source.checkpoint, options);
  } catch (cause) {
    closeSource(source);
    throw cause;
  }
}

function closeSource(source: Source): void {
  if (source.yields === 'graph') source.close();
  else source.checkpoint.close();
}
