import { type VerifyOptions, verify } from '../pipelines/verify/verify.ts';
import { shown } from '../printable.ts';
import { jsonText } from '../reports/json.ts';
import { pages } from '../reports/pages.ts';
import { verifyResultText } from '../reports/verify.ts';
import { VIEWS } from '../samples/views.ts';
import { type CommandSpec, saying } from './command.ts';
import * as flags from './flags.ts';
import { warn } from './io.ts';
import { nameList, positiveInteger } from './parsers.ts';
import { printResult, type ReportOptions, wantsPage } from './report.ts';

export const command: CommandSpec<Omit<VerifyOptions, 'model'> & ReportOptions> = {
  description:
    'Runs a model of any format beside a reference of any format and tells how far outputs, layers and task metrics are apart, and where they part.',
  flags: [
    ...flags.reportFlags(),
    { flags: '--against <source>', says: 'the reference: the checkpoint or file that the model was made from' },
    saying(flags.data, 'texts or tokens, with labels or without (default: seeded token sequences)'),
    ...flags.columnFlags,
    saying(flags.samples, 'how many of them (default: all; 64 seeded ones)'),
    saying(flags.seed, 'shuffle the texts first, or which sequences to make (default: 1)'),
    saying(flags.vocab, "vocab.txt or tokenizer.json in place of the models' own"),
    saying(flags.task, 'head of a checkpoint, or what the outputs of a graph mean'),
    {
      flags: '--sequence-length <n>',
      says: 'pad to so many tokens (default: where a model is fixed, its length)',
      parse: positiveInteger,
    },
    {
      flags: '--layers <map>',
      says: 'knowledge-transfer losses: N:M layers of model and reference, or a JSON file {"0": 1, ...}',
    },
    {
      flags: '--views <names>',
      says: `how far answers agree on parts of each text, as a,b: ${VIEWS.join(', ')}`,
      parse: nameList,
    },
    flags.maxDrop,
    { flags: '--lint', says: 'ask the lint rules of the file; errors are exit 1' },
  ],
  examples: [
    'int8.tflite --against ./mobilebert-sst2 --data dev.tsv --max-drop 0.5',
    'model.onnx --against ./checkpoint',
    './mobilebert-sst2 --data dev.tsv',
    './student --against ./teacher --layers 1:2 --data texts.txt',
    './student --against ./teacher --data texts.txt --views full,left,right,masked',
    'model.tflite --lint',
    'int8.onnx --against ./checkpoint --data dev.tsv --report verify.html',
  ],
  exitOne: '--max-drop or --lint says no',
  async run({ io, progress, args: [model = ''], options }) {
    const outline = wantsPage(options);
    const result = await verify({ ...options, model, outline, progress: progress.step, note: progress.note });
    progress.clear();
    warn(io, result.warnings);
    await printResult(io, options, {
      text: () => verifyResultText(shown(result)),
      // The outline is for pictures.
      json: () => jsonText({ ...result, outline: undefined }),
      html: () => pages.verify(result),
    });
    return result.failures.length === 0 ? 0 : 1;
  },
};
