import type { Command } from 'commander';
import { type ConvertOptions, convert } from '../pipelines/convert/convert.ts';
import { fitText } from '../reports/fit.ts';
import { convertText } from '../reports/text.ts';
import type { Action } from './action.ts';
import { addOutputOptions, integer, percentage, positiveInteger } from './options.ts';

export function addConvert(program: Command, action: Action): void {
  addOutputOptions(program.command('convert <source>'))
    .summary('write a checkpoint or model as TFLite or ONNX')
    .description(
      'Writes a model as TFLite or ONNX, exact passes applied. Nothing that changes the function runs unless asked for.',
    )
    .option('--verify', 'run source and result on seeded inputs and compare; exit 1 if they differ')
    .option('--calibrate <file>', 'texts for passes that change the function: lines, TSV or JSONL')
    .option('--samples <n>', 'how many of them (default: 768)', positiveInteger)
    .option('--seed <n>', 'shuffle them first', integer)
    .option('--data <file>', 'held-out texts, with labels or without (default: the rest of --calibrate)')
    .option(
      '--max-drop <points>',
      'accuracy (or agreement) that they may cost: sensitive norms and activations stay',
      percentage,
    )
    .option('--allow-overlap', 'measure on texts that were fitted to, and say so in the file')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Examples:
  $ mbert convert ./mobilebert-sst2 -o model.tflite
  $ mbert convert ./mobilebert-squad -o model.onnx --verify
  $ mbert convert ./checkpoint -o models/ --dtype f16 --sequence-length 64
  $ mbert convert ./checkpoint -o raw.onnx --passes none
  $ mbert convert ./minilm -o fast.tflite --passes layer-norm-to-no-norm,gelu-to-relu --calibrate texts.txt --verify
  $ mbert convert ./minilm -o fast.onnx --passes layer-norm-to-no-norm --calibrate train.txt --data dev.tsv --max-drop 1
  $ mbert convert ./mobilebert-ln -o fast.tflite --passes layer-norm-to-no-norm,gelu-to-relu --calibrate texts.txt --distill 1000
  $ mbert convert ./minilm -o small.onnx --passes split-embedding --embedding-rank 128 --calibrate texts.txt

Exit codes: 0 done, 1 --verify found a difference or --max-drop was passed, 2 wrong input or usage, 70 a bug in mbert`,
    )
    .action(
      action(
        async (io, progress, source: string, options: Omit<ConvertOptions, 'source'> & { readonly json?: true }) => {
          const changed: ConvertOptions['changed'] = (report) => {
            progress.clear();
            if (!options.json) io.out(`${fitText(report)}\n\n`);
          };
          const result = await convert({ ...options, source, changed, progress: progress.step });
          progress.clear();
          for (const warning of result.warnings) io.err(`warning: ${warning}\n`);
          io.out(`${options.json ? JSON.stringify(result, null, 2) : convertText(result)}\n`);
          const isVerified = result.results.every(({ verify }) => verify?.ok ?? true);
          return isVerified && (result.fit?.failures.length ?? 0) === 0 ? 0 : 1;
        },
      ),
    );
}
