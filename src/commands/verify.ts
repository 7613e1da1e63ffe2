import { type Command, Option } from 'commander';
import { TASKS } from '../models/index.ts';
import { type VerifyOptions, verify } from '../pipelines/verify/verify.ts';
import { verifyResultText } from '../reports/verify.ts';
import type { Action } from './action.ts';
import { integer, percentage, positiveInteger } from './options.ts';
import { addReportOptions, printResult, type ReportOptions, refuseReport } from './report.ts';

export function addVerify(program: Command, action: Action): void {
  addReportOptions(program.command('verify <model>'))
    .summary('compare a model with a reference in the real runtimes, or evaluate it')
    .description(
      'Runs a model of any format beside a reference of any format and tells how far outputs, layers and task metrics are apart, and where they part.',
    )
    .option('--against <source>', 'the reference: the checkpoint or file that the model was made from')
    .option('--data <file>', 'texts or tokens, with labels or without (default: seeded token sequences)')
    .option('--samples <n>', 'how many of them (default: all; 64 seeded ones)', positiveInteger)
    .option('--seed <n>', 'shuffle the texts first, or which sequences to make (default: 1)', integer)
    .option('--vocab <file>', "vocab.txt in place of the models' own")
    .addOption(new Option('--task <task>', 'head of a checkpoint, or what the outputs of a graph mean').choices(TASKS))
    .option(
      '--sequence-length <n>',
      'pad to so many tokens (default: where a model is fixed, its length)',
      positiveInteger,
    )
    .option(
      '--layers <map>',
      'knowledge-transfer losses: N:M layers of model and reference, or a JSON file {"0": 1, ...}',
    )
    .option('--max-drop <points>', 'accuracy (or agreement) that may be lost; more is exit 1', percentage)
    .option('--lint', 'ask the lint rules of the file; errors are exit 1')
    .addHelpText(
      'after',
      `
Examples:
  $ mbert verify int8.tflite --against ./mobilebert-sst2 --data dev.tsv --max-drop 0.5
  $ mbert verify model.onnx --against ./checkpoint
  $ mbert verify ./mobilebert-sst2 --data dev.tsv
  $ mbert verify ./student --against ./teacher --layers 1:2 --data texts.txt
  $ mbert verify model.tflite --lint
  $ mbert verify int8.onnx --against ./checkpoint --data dev.tsv --report verify.html

Exit codes: 0 done, 1 --max-drop or --lint says no, 2 wrong input or usage, 70 a bug in mbert`,
    )
    .action(
      action(async (io, progress, model: string, options: Omit<VerifyOptions, 'model'> & ReportOptions) => {
        refuseReport(options);
        const result = await verify({ ...options, model, progress: progress.step });
        progress.clear();
        for (const warning of result.warnings) io.err(`warning: ${warning}\n`);
        await printResult(io, options, {
          text: () => verifyResultText(result),
          json: () => JSON.stringify(result, null, 2),
          html: async () => (await import('../reports/verify-html.ts')).verifyHtml(result),
        });
        return result.failures.length === 0 ? 0 : 1;
      }),
    );
}
