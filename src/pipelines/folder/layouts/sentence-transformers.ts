import { dirname } from 'node:path';
import { MbertError } from '../../../errors.ts';
import { type ModuleFolders, moduleFolders } from '../../../importers/module-chain.ts';
import type { OpenedModel } from '../../../opened/opened-model.ts';
import type { FormName } from '../../../options/forms.ts';
import type { Layout } from '../layout.ts';
import { readableOutputs, refuseInputs } from '../readable.ts';
import {
  configFile,
  encoderSettings,
  filesOfModules,
  olderFiles,
  tokenizerFile,
  tokenizerSettings,
} from '../side-files.ts';

/** Ends of the names, as sentence-transformers' own tools give them. */
const SUFFIXES: { readonly [F in FormName]: string } = {
  f32: '',
  f16: '_fp16',
  dynamic: '_qint8_dynamic',
  int8: '_qint8',
  w4: '_q4',
};

/**
 * The folder that `SentenceTransformer(folder, backend="onnx")` opens. It pools what the encoder gives by itself, as its
 * modules say, so their folders are copied.
 */
export const sentenceTransformers: Layout = {
  name: 'sentence-transformers',
  formats: ['onnx'],
  w4Target: 'ort',
  isOneFile: false,
  fileOf(form, _, { model }) {
    const name = `model${SUFFIXES[form]}`;
    const openedBy = form === 'f32' ? 'backend="onnx"' : `backend="onnx", model_kwargs={"file_name": "${name}.onnx"}`;
    return { stem: `${encoderOf(model)}onnx/${name}`, openedBy };
  },
  settle({ model, shape, writing }) {
    const { task, path } = model;
    if (moduleFolders(path) === undefined && task !== 'sequence-classification') {
      throw new MbertError('NOT_FOUND', `${dirname(path)}: modules.json: is not there`, {
        hint: 'sentence-transformers says in it how vectors are pooled: SentenceTransformer(folder).save(folder) writes one',
      });
    }
    refuseInputs(model, shape, 'sentence-transformers');
    const read = task === 'sequence-classification' ? ['logits'] : ['last_hidden_state', 'token_embeddings'];
    readableOutputs(model, shape, writing, read, 'sentence-transformers');
    return writing;
  },
  sideFiles({ model, writing }) {
    const folders = moduleFolders(model.path);
    const encoder = encoderOf(model);
    const ofEncoder = [
      configFile(model, writing, 'sentence-transformers'),
      tokenizerFile(model, writing.tokenizer, 'sentence-transformers'),
      tokenizerSettings(model, writing.tokenizer),
      ...olderFiles(model, writing.tokenizer),
      ...encoderSettings(model),
    ];
    return [
      ...ofEncoder.map((file) => ({ ...file, path: `${encoder}${file.path}` })),
      ...(folders ? filesOfModules(folders) : []),
    ];
  },
};

/** Folder of the encoder with a slash behind it, empty where it has none of its own. */
function encoderOf({ path }: OpenedModel): string {
  const [encoder = '']: ModuleFolders['modules'] = moduleFolders(path)?.modules ?? [];
  return encoder === '' ? '' : `${encoder}/`;
}
