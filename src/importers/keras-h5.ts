import { isHdf5, readHdf5 } from '../formats/hdf5.ts';
import type { Tensor } from '../ir/tensor.ts';
import { checkpointBeside } from './hugging-face.ts';
import type { Importer } from './importer.ts';
import { checkpointSource } from './sources.ts';

const SINGLE = 'tf_model.h5';

/** A Hugging Face folder whose weights are tf_model.h5, as Keras' save_weights writes it. */
export const kerasH5: Importer = {
  name: 'keras-h5',
  find: (names) => (names.includes(SINGLE) ? SINGLE : undefined),
  // A damaged file is known by its name only; what is wrong with it is then said by the reader.
  detect: (head, file) => isHdf5(head) || /\.h5$/.test(file.path),
  read: async (file) =>
    checkpointSource(file, (opened) => checkpointBeside(file, onlyWeights(readHdf5(file)), 'keras', opened)),
};

/** Group in which Keras' whole models keep the weights, beside the optimizer's. */
const WHOLE_MODEL = 'model_weights/';

function onlyWeights(tensors: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
  const names = [...tensors.keys()];
  if (!names.some((name) => name.startsWith(WHOLE_MODEL))) return tensors;
  const weights = [...tensors].filter(([name]) => name.startsWith(WHOLE_MODEL));
  return new Map(weights.map(([name, tensor]) => [name.slice(WHOLE_MODEL.length), tensor]));
}
