import { findFile, type Importer } from './importer.ts';

const NAME = 'model.tflite';
const EXTENSION = '.tflite';

/** A .tflite file, the only one of its folder or model.tflite. */
export const tflite: Importer = {
  name: 'tflite',
  find: (names) => findFile(names, [NAME], (name) => name.endsWith(EXTENSION)),
  // A damaged file is known by its name only; what is wrong with it is then said by the reader.
  detect: (head, file) => isTflite(head) || file.path.endsWith(EXTENSION),
  read: async (file) => (await import('./tflite/read.ts')).readTflite(file),
};

/** True where the FlatBuffer's identifier, which follows the offset of its root, is that of the schema's version 3. */
function isTflite(head: Uint8Array): boolean {
  return Buffer.from(head.subarray(4, 8)).toString('latin1') === 'TFL3';
}
