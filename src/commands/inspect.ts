import { type Command, Option } from 'commander';
import { type InspectOptions, inspect } from '../pipelines/inspect.ts';
import { predictOnnxRuntime, predictXnnpack } from '../pipelines/lint.ts';
import { delegationText, kernelsText } from '../reports/delegation.ts';
import { inspectText } from '../reports/text.ts';
import type { Action } from './action.ts';
import { addShapeOptions } from './options.ts';
import { addReportOption, refuseReport, writeReport } from './report.ts';

export function addInspect(program: Command, action: Action): void {
  addReportOption(addShapeOptions(program.command('inspect <model>')))
    .summary('print the graph of a model and what is in it')
    .description('Prints the canonical text of the graph: stable, so that it can be committed and compared.')
    .addOption(
      new Option('--target <format>', 'the graph as written for this format, passes run').choices(['onnx', 'tflite']),
    )
    .option('--passes <list>', 'as in mbert convert')
    .addOption(
      new Option('--format <format>', 'html: a page with the graph, sizes and weights')
        .choices(['text', 'json', 'html'])
        .default('text'),
    )
    .addOption(
      new Option(
        '--delegate <name>',
        'which operators of a .tflite file XNNPACK takes, which products of an .onnx file run on integers',
      ).choices(['xnnpack', 'onnxruntime']),
    )
    .option('--json', 'the same as --format json')
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
          options: Omit<InspectOptions, 'source'> & {
            readonly format: string;
            readonly delegate?: 'xnnpack' | 'onnxruntime';
            readonly json?: true;
            readonly report?: string;
          },
        ) => {
          const asJson = options.json === true || options.format === 'json';
          if (options.delegate === 'onnxruntime') {
            const products = predictOnnxRuntime(source);
            io.out(`${asJson ? JSON.stringify(products, null, 2) : kernelsText(products)}\n`);
            return 0;
          }
          if (options.delegate !== undefined) {
            const prediction = predictXnnpack(source);
            io.out(`${asJson ? JSON.stringify(prediction, null, 2) : delegationText(prediction)}\n`);
            return 0;
          }
          const { report } = options;
          refuseReport(report);
          const asHtml = options.format === 'html' && !asJson;
          const result = await inspect({ ...options, source, outline: asHtml || report !== undefined });
          progress.clear();
          for (const warning of result.warnings) io.err(`warning: ${warning}\n`);
          const { outline, ...data } = result;
          const page = outline ? (await import('../reports/inspect-html.ts')).inspectHtml({ ...result, source }) : '';
          if (report !== undefined) await writeReport(report, page);
          if (asHtml) io.out(page);
          else io.out(`${asJson ? JSON.stringify(data, null, 2) : inspectText(result)}\n`);
          return 0;
        },
      ),
    );
}
