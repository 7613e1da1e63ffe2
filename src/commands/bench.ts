import { type Command, Option } from 'commander';
import { TASKS } from '../models/index.ts';
import { type BenchOptions, bench } from '../pipelines/bench/bench.ts';
import { benchText, benchWarnings } from '../reports/bench.ts';
import type { Action } from './action.ts';
import { integer, positiveInteger } from './options.ts';

export function addBench(program: Command, action: Action): void {
  program
    .command('bench <model...>')
    .summary('time models beside each other in the real runtimes')
    .description(
      'Runs models in turns on the same tokens: ONNX in ONNX Runtime, TFLite in LiteRT. Other sources are written as both first.',
    )
    .option('--against <model>', 'compare with this one (default: the first)')
    .option(
      '--sequence-length <n>',
      'of files that take any (default: that of a file that does not, else 128)',
      positiveInteger,
    )
    .option('--batch <n>', 'sequences in a run (default: 1)', positiveInteger)
    .option('--runs <n>', 'runs of each that are timed', positiveInteger, 30)
    .option('--warmup <n>', 'runs before them', nonNegative, 3)
    .option('--threads <n>', 'ONNX Runtime; LiteRT in WebAssembly has one', positiveInteger, 1)
    .option(
      '--data <file>',
      'texts to run on, read with the vocabulary of the first model that has one (default: random tokens)',
    )
    .option('--vocab <file>', 'vocab.txt in place of that')
    .option('--seed <n>', 'of the random tokens', integer, 1)
    .addOption(new Option('--task <task>', 'which head to build from checkpoints').choices(TASKS))
    .option('--profile', 'ONNX: time by op, and the most expensive nodes')
    .option('--no-memory', 'do not start a process for each model to measure its memory')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Examples:
  $ mbert bench model.onnx model.int8.onnx
  $ mbert bench int8.tflite dynamic.tflite --against f32.tflite --runs 50
  $ mbert bench ./mobilebert-sst2 --sequence-length 64
  $ mbert bench model.int8.onnx --profile --data texts.txt

Exit codes: 0 done, 2 wrong input or usage, 70 a bug in mbert`,
    )
    .action(
      action(
        async (io, progress, models: string[], options: Omit<BenchOptions, 'models'> & { readonly json?: true }) => {
          const result = await bench({ ...options, models, progress: progress.step });
          progress.clear();
          for (const warning of benchWarnings(result, options.profile === true)) io.err(`warning: ${warning}\n`);
          io.out(`${options.json ? JSON.stringify(result, null, 2) : benchText(result)}\n`);
          return 0;
        },
      ),
    );
}

function nonNegative(text: string): number {
  return text.trim() === '0' ? 0 : positiveInteger(text);
}
