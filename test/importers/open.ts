import type { Checkpoint } from '../../src/formats/checkpoint.ts';
import { openSource } from '../../src/importers/index.ts';

/** Opens a source that holds weights. */
export async function openWeights(path: string): Promise<{ readonly checkpoint: Checkpoint }> {
  const source = await openSource(path);
  if (source.yields !== 'checkpoint') throw new Error(`${path} holds a graph`);
  return source;
}
