import { type Command, Option } from 'commander';
import { type QuantizeOptions, type QuantizeResult, quantize } from '../pipelines/quantize/quantize.ts';
import { RANGE_METHODS, ROUNDINGS, SCHEMES } from '../quantization/settings.ts';
import { targets } from '../quantization/targets.ts';
import { GRANULARITIES } from '../quantization/weights.ts';
import { fitText } from '../reports/fit.ts';
import { quantizeText } from '../reports/quantize.ts';
import type { Action } from './action.ts';
import { addOutputOptions, byteSize, integer, percentage, positiveInteger } from './options.ts';
import { addReportOptions, printResult, type ReportOptions, wantsPage } from './report.ts';

export function addQuantize(program: Command, action: Action): void {
  const names = targets.map(({ name }) => name);
  addReportOptions(addOutputOptions(program.command('quantize <source>')))
    .summary('write a model with integer or half weights, and measure what that costs')
    .description(
      'Writes a model quantized after training. Runs the float and the quantized model on texts that were not calibrated on, and prints how far their answers differ.',
    )
    .addOption(
      new Option('--scheme <scheme>', 'int8 and int16x8 are calibrated; dynamic, w4 and f16 need no texts')
        .choices(SCHEMES)
        .makeOptionMandatory(),
    )
    .addOption(new Option('--target <name>', 'where it will run').choices(names).default('cpu'))
    .option('--calibrate <file>', 'texts as the model will see them: lines, TSV or JSONL')
    .option(
      '--samples <n>',
      'how many of them to calibrate on (default: 128; 768 for passes that are fitted)',
      positiveInteger,
    )
    .option('--seed <n>', 'shuffle them first', integer)
    .option('--data <file>', 'held-out texts, with labels or without (default: the rest of --calibrate)')
    .addOption(new Option('--range <method>', 'how the range of a value is chosen').choices(RANGE_METHODS))
    .addOption(
      new Option(
        '--granularity <scales>',
        'scales of a weight: one, one per output channel, or one per 32 neighbours (w4) (default: what the target runs fastest)',
      ).choices(GRANULARITIES),
    )
    .addOption(
      new Option(
        '--rounding <how>',
        'gptq lets the errors of a weight make up for one another; it is used where held-out texts are better for it (default: gptq for w4 with --calibrate, else nearest)',
      ).choices(ROUNDINGS),
    )
    .option(
      '--bias-correction',
      'take what rounding does to the mean of outputs out of biases, where held-out texts are better for it',
    )
    .option('--recipe <file>', 'JSON rules for single nodes: [{ "match": "layer\\\\.0\\\\.", "scheme": "float" }]')
    .option('--dump-recipe <file>', 'write the settings of every node as a recipe')
    .option('--max-drop <points>', 'accuracy (or agreement) that may be lost; more is exit 1', percentage)
    .option('--max-size <size>', 'as 8MB; a larger file is exit 1', byteSize)
    .option('--no-scan', 'keep no linear in higher precision by measurement')
    .option('--allow-overlap', 'measure on texts that were calibrated on, and say so in the file')
    .addOption(new Option('--io <dtype>', 'TFLite: the outputs').choices(['f32', 'int8']).default('f32'))
    .addHelpText(
      'after',
      `
Examples:
  $ mbert quantize ./mobilebert-sst2 -o model.onnx --scheme int8 --calibrate texts.txt
  $ mbert quantize ./mobilebert-sst2 -o model.tflite --scheme dynamic
  $ mbert quantize ./checkpoint -o models/ --scheme int8 --calibrate train.txt --data dev.tsv --max-drop 0.5
  $ mbert quantize ./checkpoint -o int8.onnx --scheme int8 --calibrate train.txt --report int8.html
  $ mbert quantize ./minilm -o fast.onnx --scheme int8 --passes layer-norm-to-no-norm,gelu-to-relu --calibrate texts.txt
  $ mbert quantize ./checkpoint -o w4.onnx --scheme w4 --calibrate texts.txt
  $ mbert quantize ./checkpoint -o w4.tflite --scheme w4 --granularity block --rounding gptq --calibrate texts.txt
  $ mbert quantize ./checkpoint -o npu.tflite --scheme int8 --target npu --calibrate texts.txt --sequence-length 64

Targets:
${targets.map(({ name, summary }) => `  ${name.padEnd(8)} ${summary}`).join('\n')}

Exit codes: 0 done, 1 more was lost than --max-drop or --max-size allow, 2 wrong input or usage, 70 a bug in mbert`,
    )
    .action(
      action(async (io, progress, source: string, options: Omit<QuantizeOptions, 'source'> & ReportOptions) => {
        const outline = wantsPage(options);
        const changed: QuantizeOptions['changed'] = (report) => {
          progress.clear();
          if (options.format === 'text' && !options.json) io.out(`${fitText(report)}\n\n`);
        };
        const result = await quantize({ ...options, source, outline, changed, progress: progress.step });
        progress.clear();
        const warnings = [...result.warnings, ...new Set(result.results.flatMap((file) => file.warnings))];
        for (const warning of warnings) io.err(`warning: ${warning}\n`);
        await printResult(io, options, {
          text: () => quantizeText(result),
          json: () => jsonText(result),
          html: async () => (await import('../reports/quantize-html.ts')).quantizeHtml(result),
        });
        const failures = [...(result.fit?.failures ?? []), ...result.results.flatMap((file) => file.failures)];
        return failures.length === 0 ? 0 : 1;
      }),
    );
}

/** Without the graphs: those are for pictures. */
function jsonText(result: QuantizeResult): string {
  const results = result.results.map(({ outline: _, sourceOutline: __, ...file }) => file);
  return JSON.stringify({ ...result, results }, null, 2);
}
