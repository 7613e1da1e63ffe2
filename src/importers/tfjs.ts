import type { ModelFile } from '../io/files.ts';
import type { Importer } from './importer.ts';

const NAME = 'model.json';

/** A TF.js model: model.json and its weight files. */
export const tfjs: Importer = {
  name: 'tfjs',
  find: (names) => names.find((name) => name === NAME),
  // The format comes first in what the converter writes; layers models are claimed to be refused by name.
  detect: (head, file) =>
    /^\s*\{.*"(?:graph-model|layers-model|modelTopology)"/s.test(latin1(head)) || hasName(file, NAME),
  read: async (file) => (await import('./tensorflow/read-tfjs.ts')).readTfjs(file),
};

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function hasName(file: ModelFile, name: string): boolean {
  return file.path.split(/[/\\]/).at(-1) === name;
}
