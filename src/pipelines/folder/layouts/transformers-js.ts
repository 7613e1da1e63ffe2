import { MbertError } from '../../../errors.ts';
import { parseObject } from '../../../importers/side-files.ts';
import type { Task } from '../../../models/index.ts';
import type { OpenedModel } from '../../../opened/opened-model.ts';
import type { FormName } from '../../../options/forms.ts';
import type { Writing } from '../../../options/writing.ts';
import { plain } from '../../../samples/tokenizer/json-fields.ts';
import type { Layout, SideFile } from '../layout.ts';
import { readableOutputs, refuseInputs } from '../readable.ts';
import { configFile, olderFiles, tokenizerFile, tokenizerSettings } from '../side-files.ts';

/** Names that transformers.js 4.3 gives to forms (`dtype`), and the ending of the file that each loads. */
const DTYPES: { readonly [F in FormName]: readonly [dtype: string, suffix: string] } = {
  f32: ['fp32', ''],
  f16: ['fp16', '_fp16'],
  dynamic: ['q8', '_quantized'],
  int8: ['int8', '_int8'],
  w4: ['q4', '_q4'],
};

/** Outputs of which its pipelines read one; for features the first of them that is there. */
const READ = ['last_hidden_state', 'logits', 'token_embeddings', 'start_logits'];

/**
 * The folder that transformers.js opens by its path or its name on a hub. On a processor it loads q8 unless it is told
 * otherwise, so the faster 8-bit form has that name, which is the dynamic one in WebAssembly and in Node
 * (docs/layouts.md#8-bits-in-a-browser); the other has `int8`, and q8 where it is alone.
 */
export const transformersJs: Layout = {
  name: 'transformers.js',
  formats: ['onnx'],
  w4Target: 'ort',
  isOneFile: true,
  fileOf(form, forms) {
    const [dtype, suffix] = DTYPES[form === 'int8' && !forms.includes('dynamic') ? 'dynamic' : form];
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
    configWithClass(model, writing),
    tokenizerFile(model, writing.tokenizer, 'transformers.js'),
    tokenizerSettings(model, writing.tokenizer),
    ...olderFiles(model, writing.tokenizer),
  ],
};

/** Model types of which transformers.js 4.3 has a class for every head in `CLASSES`, but for those left out there. */
const MODEL_TYPES = [
  ...['albert', 'bert', 'camembert', 'convbert', 'deberta', 'deberta-v2', 'distilbert', 'electra', 'esm', 'eurobert'],
  ...['mobilebert', 'modernbert', 'mpnet', 'neobert', 'roberta', 'roformer', 'squeezebert', 'xlm', 'xlm-roberta'],
];

/** Heads that its pipelines open by a class of the model type, with the types that have none; features need none. */
const CLASSES: { readonly [T in Task]?: { readonly without: readonly string[] } } = {
  'sequence-classification': { without: [] },
  'token-classification': { without: ['albert', 'mobilebert', 'squeezebert'] },
  'masked-lm': { without: [] },
  qa: { without: ['esm', 'eurobert', 'modernbert'] },
};

/**
 * The config, with the model type `bert` where transformers.js has no class for this head of this type and its pipeline
 * would stop. Which class it takes decides nothing else: the graph is in the file.
 */
function configWithClass(model: OpenedModel, writing: Writing): SideFile {
  const file = configFile(model, writing, 'transformers.js');
  const config = parseObject({ bytes: file.bytes, what: file.path });
  const type = String(config.get('model_type'));
  const head = model.task && CLASSES[model.task];
  if (head === undefined || (MODEL_TYPES.includes(type) && !head.without.includes(type))) return file;
  const json = JSON.stringify(plain(new Map(config).set('model_type', 'bert')), null, 2);
  return { path: file.path, bytes: new TextEncoder().encode(`${json}\n`), from: undefined };
}
