import { type Command, Option } from 'commander';
import { MbertError } from '../errors.ts';
import { predictOnnxRuntime, predictXnnpack } from '../lint/lint-file.ts';
import { type InspectOptions, inspect } from '../pipelines/inspect/inspect.ts';
import { delegationText, kernelsText } from '../reports/delegation.ts';
import { inspectText } from '../reports/text.ts';
import type { Action } from './action.ts';
import { addShapeOptions } from './options.ts';
import { addReportOptions, printResult, type ReportOptions, wantsPage } from './report.ts';

export function addInspect(program: Command, action: Action): void {
  addReportOptions(addShapeOptions(program.command('inspect <model>')))
    .summary('print the graph of a model and what is in it')
    .description('Prints the canonical text of the graph: stable, so that it can be committed and compared.')
    .addOption(
      new Option('--target <format>', 'the graph as written for this format, passes run').choices(['onnx', 'tflite']),
    )
    .option('--passes <list>', 'as in mbert convert')
    .addOption(
      new Option(
        '--delegate <name>',
        'which operators of a .tflite file XNNPACK takes, which products of an .onnx file run on integers',
      ).choices(['xnnpack', 'onnxruntime']),
    )
    .addHelpText(
      'after',
      `
Examples:
  $ mbert inspect ./mobilebert-sst2
  $ mbert inspect ./mobilebert-sst2 --target tflite > model.graph
  $ mbert inspect model.tflite --delegate xnnpack
  $ mbert inspect int8.onnx --delegate onnxruntime
  $ mbert inspect ./mobilebert-sst2 --json
  $ mbert inspect model.tflite --format html > model.html`,
    )
    .action(
      action(
        async (
          io,
          progress,
          source: string,
          options: Omit<InspectOptions, 'source'> & ReportOptions & { readonly delegate?: 'xnnpack' | 'onnxruntime' },
        ) => {
          const outline = wantsPage(options);
          if (options.delegate !== undefined) {
            if (outline)
              throw new MbertError('USAGE', '--delegate: has no page', { hint: 'leave --report or --delegate out' });
            const asJson = options.json === true || options.format === 'json';
            const print = (found: object, text: string) =>
              io.out(`${asJson ? JSON.stringify(found, null, 2) : text}\n`);
            if (options.delegate === 'onnxruntime') {
              const products = predictOnnxRuntime(source);
              print(products, kernelsText(products));
            } else {
              const prediction = predictXnnpack(source);
              print(prediction, delegationText(prediction));
            }
            return 0;
          }
          const result = await inspect({ ...options, source, outline });
          progress.clear();
          for (const warning of result.warnings) io.err(`warning: ${warning}\n`);
          await printResult(io, options, {
            text: () => inspectText(result),
            // The graph as data is for pictures: its text is there.
            json: () => JSON.stringify({ ...result, outline: undefined }, null, 2),
            html: async () => (await import('../reports/inspect-html.ts')).inspectHtml({ ...result, source }),
          });
          return 0;
        },
      ),
    );
}
