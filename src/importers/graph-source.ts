import { MbertError } from '../errors.ts';
import type { ModelFile } from '../io/files.ts';
import type { GraphSource } from './importer.ts';

type Read = Omit<GraphSource, 'yields' | 'path' | 'close'>;

/** A source over `file` and what `read` opens besides, which it adds to its argument; all is closed where reading fails. */
export function graphSource(file: ModelFile, read: (opened: ModelFile[]) => Read): GraphSource {
  const opened = [file];
  const close = () => {
    for (const each of opened) each.close();
  };
  try {
    return { yields: 'graph', path: file.path, ...read(opened), close };
  } catch (cause) {
    close();
    // What makes no sense in a graph is the file's fault.
    const isInvalid = cause instanceof MbertError && cause.code === 'INVALID_GRAPH';
    throw isInvalid ? new MbertError('MALFORMED', `${file.path}: ${cause.message}`, { cause }) : cause;
  }
}
