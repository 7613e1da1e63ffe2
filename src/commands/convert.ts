import type { Command } from 'commander';
import { type ConvertOptions, convert } from '../pipelines/convert.ts';
import { convertText } from '../reports/text.ts';
import type { Action } from './action.ts';
import { addOutputOptions, integer, positiveInteger } from './options.ts';

export function addConvert(program: Command, action: Action): void {
  addOutputOptions(program.command('convert <source>'))
    .summary('write a checkpoint or model as TFLite or ONNX')
    .description(
      'Writes a model as TFLite or ONNX, exact passes applied. Nothing that changes the function runs unless asked for.',
    )
    .option('--verify', 'run source and result on seeded inputs and compare; exit 1 if they differ')
    .option('--calibrate <file>', 'texts to fit layer-norm-to-no-norm and gelu-to-relu to: lines, TSV or JSONL')
    .option('--samples <n>', 'how many of them (default: 768)', positiveInteger)
    .option('--seed <n>', 'shuffle them first', integer)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Examples:
  $ mbert convert ./mobilebert-sst2 -o model.tflite
  $ mbert convert ./mobilebert-squad -o model.onnx --verify
  $ mbert convert ./checkpoint -o models/ --dtype f16 --sequence-length 64
  $ mbert convert ./checkpoint -o raw.onnx --passes none
  $ mbert convert ./minilm -o fast.tflite --passes layer-norm-to-no-norm,gelu-to-relu --calibrate texts.txt

Exit codes: 0 done, 1 --verify found a difference, 2 wrong input or usage, 70 a bug in mbert`,
    )
    .action(
      action(
        async (io, progress, source: string, options: Omit<ConvertOptions, 'source'> & { readonly json?: true }) => {
          const result = await convert({ ...options, source, progress: progress.step });
          progress.clear();
          for (const warning of result.warnings) io.err(`warning: ${warning}\n`);
          io.out(`${options.json ? JSON.stringify(result, null, 2) : convertText(result)}\n`);
          return result.results.every(({ verify }) => verify?.ok ?? true) ? 0 : 1;
        },
      ),
    );
}
