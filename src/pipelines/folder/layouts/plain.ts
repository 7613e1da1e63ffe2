import type { Layout } from '../layout.ts';
import { trimmedFiles } from '../side-files.ts';

/** The folder without a program in view: both formats, named after their forms. */
export const plain: Layout = {
  name: undefined,
  formats: ['tflite', 'onnx'],
  w4Target: 'cpu',
  isOneFile: false,
  fileOf: (form) => ({ stem: form === 'f32' ? 'model' : `model_${form}`, openedBy: undefined }),
  settle: ({ writing }) => writing,
  sideFiles: ({ model, writing }) => (model.kept === undefined ? [] : trimmedFiles(model, writing.tokenizer)),
};
