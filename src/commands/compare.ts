import { type CompareOptions, compare } from '../pipelines/compare/compare.ts';
import { shown } from '../printable.ts';
import { compareText } from '../reports/compare.ts';
import { jsonText } from '../reports/json.ts';
import { pages } from '../reports/pages.ts';
import { type CommandSpec, saying } from './command.ts';
import * as flags from './flags.ts';
import { warn } from './io.ts';
import { positiveInteger } from './parsers.ts';
import { printResult, type ReportOptions, refuseReport } from './report.ts';

export const command: CommandSpec<Omit<CompareOptions, 'models'> & ReportOptions> = {
  description:
    'Times several .onnx and .tflite files in turns, measures what each loses against their source, and marks those that no other one beats in size, time and loss.',
  flags: [
    ...flags.reportFlags(),
    {
      flags: '--against <source>',
      says: 'the reference: the checkpoint or file that the models were made from',
      isRequired: true,
    },
    saying(flags.data, 'texts or tokens, with labels or without (default: seeded token sequences)'),
    saying(flags.samples, 'how many of them (default: all; 64 seeded ones)'),
    ...flags.columnFlags,
    saying(flags.vocab, "vocab.txt or tokenizer.json in place of the models' own"),
    saying(flags.task, 'head of a checkpoint, or what the outputs of a graph mean'),
    {
      flags: '--sequence-length <n>',
      says: 'tokens, for files that take any number (default: that of a file that does not, else 128)',
      parse: positiveInteger,
    },
    { flags: '--runs <n>', says: 'runs of each that are timed', parse: positiveInteger, default: 30 },
    {
      flags: '--threads <n>',
      says: 'ONNX Runtime; LiteRT in WebAssembly has one',
      parse: positiveInteger,
      default: 1,
    },
  ],
  examples: [
    'f32.onnx dynamic.onnx int8.onnx --against ./mobilebert-sst2 --data dev.tsv',
    'models/*.tflite --against ./checkpoint --data dev.tsv --report compare.html',
  ],
  exitOne: 'an output of a model holds NaN or infinity',
  async run({ io, progress, args: models, options }) {
    refuseReport(options);
    const result = await compare({ ...options, models, progress: progress.step, note: progress.note });
    progress.clear();
    warn(io, result.warnings);
    await printResult(io, options, {
      text: () => compareText(shown(result)),
      json: () => jsonText(result),
      html: () => pages.compare(result),
    });
    return result.rows.every(({ failures }) => failures.length === 0) ? 0 : 1;
  },
};
