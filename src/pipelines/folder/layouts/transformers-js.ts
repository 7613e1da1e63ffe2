import { MbertError } from '../../../errors.ts';
import type { FormName } from '../../../options/forms.ts';
import type { Layout } from '../layout.ts';
import { readableOutputs, refuseInputs } from '../readable.ts';
import { configFile, olderFiles, tokenizerFile, tokenizerSettings } from '../side-files.ts';

/** Names that transformers.js 4.3 gives to forms (`dtype`), and the ending of the file that each loads. */
const DTYPES: { readonly [F in FormName]: readonly [dtype: string, suffix: string] } = {
  f32: ['fp32', ''],
  f16: ['fp16', '_fp16'],
  dynamic: ['int8', '_int8'],
  int8: ['q8', '_quantized'],
  w4: ['q4', '_q4'],
};

/** Outputs of which its pipelines read one; for features the first of them that is there. */
const READ = ['last_hidden_state', 'logits', 'token_embeddings', 'start_logits'];

/**
 * The folder that transformers.js opens by its path or its name on a hub. On a processor it loads q8 unless it is told
 * otherwise, so the best 8-bit form has that name; beside a calibrated one the other has `int8`, as on the hub.
 */
export const transformersJs: Layout = {
  name: 'transformers.js',
  formats: ['onnx'],
  w4Target: 'ort',
  isOneFile: true,
  fileOf(form, forms) {
    const [dtype, suffix] = DTYPES[form === 'dynamic' && !forms.includes('int8') ? 'int8' : form];
    return { stem: `onnx/model${suffix}`, openedBy: `dtype: "${dtype}"` };
  },
  settle({ model, shape, writing }) {
    if (writing.externalData) {
      throw new MbertError('USAGE', '--external-data: transformers.js looks for other names of such files', {
        hint: 'leave it out: below 2 GB a model is one file',
      });
    }
    refuseInputs(model, shape, 'transformers.js');
    readableOutputs(model, shape, writing, READ, 'transformers.js');
    return writing;
  },
  sideFiles: ({ model, writing }) => [
    configFile(model, 'transformers.js'),
    tokenizerFile(model, writing.tokenizer, 'transformers.js'),
    tokenizerSettings(model, writing.tokenizer),
    ...olderFiles(model, writing.tokenizer),
  ],
};
