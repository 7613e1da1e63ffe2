import type { Importer } from './importer.ts';

const NAME = 'saved_model.pb';

/** A SavedModel: saved_model.pb with its variables in the folder beside it. */
export const savedModel: Importer = {
  name: 'savedmodel',
  find: (names) => names.find((name) => name === NAME),
  // Schema version 1, then the first meta graph. ONNX begins alike but for its version.
  detect: (head, file) => (head[0] === 0x08 && head[1] === 1 && head[2] === 0x12) || file.path.endsWith(NAME),
  read: async (file) => (await import('./tensorflow/read-saved-model.ts')).readSavedModelSource(file),
};
