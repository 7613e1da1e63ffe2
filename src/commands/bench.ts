import { type BenchOptions, bench } from '../pipelines/bench/bench.ts';
import { shown } from '../printable.ts';
import { benchText, benchWarnings } from '../reports/bench.ts';
import { jsonText } from '../reports/json.ts';
import { pages } from '../reports/pages.ts';
import { type CommandSpec, saying } from './command.ts';
import * as flags from './flags.ts';
import { warn } from './io.ts';
import { nonNegativeInteger, positiveInteger } from './parsers.ts';
import { printResult, type ReportOptions, refuseReport } from './report.ts';

export const command: CommandSpec<Omit<BenchOptions, 'models'> & ReportOptions> = {
  description:
    'Runs models in turns on the same tokens: ONNX in ONNX Runtime, TFLite in LiteRT. Other sources are written as both first; a TF.js model runs besides in TF.js, where that is installed.',
  flags: [
    ...flags.reportFlags(),
    { flags: '--against <model>', says: 'compare with this one (default: the first)' },
    {
      flags: '--sequence-length <n>',
      says: 'tokens, for files that take any number (default: that of a file that does not, else 128)',
      parse: positiveInteger,
    },
    { flags: '--batch <n>', says: 'sequences in a run (default: 1)', parse: positiveInteger },
    { flags: '--runs <n>', says: 'runs of each that are timed', parse: positiveInteger, default: 30 },
    { flags: '--warmup <n>', says: 'runs before them', parse: nonNegativeInteger, default: 3 },
    {
      flags: '--threads <n>',
      says: 'ONNX Runtime; LiteRT in WebAssembly has one',
      parse: positiveInteger,
      default: 1,
    },
    saying(
      flags.data,
      'texts to run on, read with the vocabulary of the first model that has one (default: random tokens)',
    ),
    ...flags.textColumnFlags,
    saying(flags.vocab, 'vocab.txt or tokenizer.json in place of that'),
    { ...saying(flags.seed, 'which random tokens'), default: 1 },
    saying(flags.task, 'which head to build from checkpoints'),
    { flags: '--profile', says: 'ONNX: time by op, and the most expensive nodes' },
    { flags: '--no-memory', says: 'do not start a process for each model to measure its memory' },
  ],
  examples: [
    'model.onnx model.int8.onnx',
    'int8.tflite dynamic.tflite --against f32.tflite --runs 50',
    './mobilebert-sst2 --sequence-length 64',
    'model.int8.onnx --profile --data texts.txt',
    'models/*.onnx --report speed.html',
  ],
  async run({ io, progress, args, options }) {
    refuseReport(options);
    const result = await bench({ ...options, models: args, progress: progress.step, note: progress.note });
    progress.clear();
    warn(io, benchWarnings(result));
    await printResult(io, options, {
      text: () => benchText(shown(result)),
      json: () => jsonText(result),
      html: () => pages.bench(result),
    });
    return 0;
  },
};
