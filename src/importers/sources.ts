import { MbertError, unlessMalformed } from '../errors.ts';
import type { Checkpoint } from '../formats/checkpoint.ts';
import type { JsonObject } from '../formats/json.ts';
import type { TokenizerFiles } from '../formats/tokenizer-files.ts';
import type { ModelFile } from '../io/files.ts';
import type { CheckpointSource, GraphSource } from './importer.ts';
import { parseObject, readSideFile } from './side-files.ts';
import { tokenizerFilesBeside } from './tokenizer-files.ts';

type Weights = Omit<Checkpoint, 'close'>;
type WholeGraph = Pick<GraphSource, 'graph' | 'labels' | 'facts' | 'notes'> & { readonly tokenizer?: TokenizerFiles };

/** A source of weights over `file` and what `read` opens besides, which it adds to its argument. */
export function checkpointSource(file: ModelFile, read: (opened: ModelFile[]) => Weights): CheckpointSource {
  return whileOpen(file, (opened, close) => ({ yields: 'checkpoint', checkpoint: { ...read(opened), close } }));
}

/** A source of a graph over `file` and what `read` opens besides, which it adds to its argument. */
export function graphSource(file: ModelFile, read: (opened: ModelFile[]) => WholeGraph): GraphSource {
  try {
    return whileOpen(file, (opened, close) => {
      const whole = read(opened);
      const tokenizer = { ...tokenizerFilesBeside(file.path), ...whole.tokenizer };
      return { yields: 'graph', path: file.path, ...whole, tokenizer, config: configBeside(file.path), close };
    });
  } catch (cause) {
    // What makes no sense in a graph is the file's fault.
    const isInvalid = cause instanceof MbertError && cause.code === 'INVALID_GRAPH';
    throw isInvalid ? new MbertError('MALFORMED', `${file.path}: ${cause.message}`, { cause }) : cause;
  }
}

/** The config of the model that the graph was exported from; a file of that name that is no config belongs to something else. */
function configBeside(path: string): JsonObject | undefined {
  const file = readSideFile(path, 'config.json');
  return file && unlessMalformed(() => parseObject(file));
}

/** Runs `read`; all files are closed where it fails, and by `close` otherwise. */
function whileOpen<S>(file: ModelFile, read: (opened: ModelFile[], close: () => void) => S): S {
  const opened = [file];
  const close = () => {
    for (const part of opened) part.close();
  };
  try {
    return read(opened, close);
  } catch (cause) {
    close();
    throw cause;
  }
}
