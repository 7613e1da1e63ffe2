import { MbertError } from '../errors.ts';
import { predictOnnxRuntime, predictXnnpack } from '../lint/lint-file.ts';
import { type InspectOptions, inspect } from '../pipelines/inspect/inspect.ts';
import { shown } from '../printable.ts';
import { delegationText, kernelsText } from '../reports/delegation.ts';
import { inspectText } from '../reports/text.ts';
import { type CommandSpec, saying } from './command.ts';
import * as flags from './flags.ts';
import { type Io, warn } from './io.ts';
import { printPassTimes, printResult, type ReportOptions, wantsPage } from './report.ts';

type Delegate = 'xnnpack' | 'onnxruntime';

export const command: CommandSpec<Omit<InspectOptions, 'source'> & ReportOptions & { readonly delegate?: Delegate }> = {
  description: 'Prints the canonical text of the graph: stable, so that it can be committed and compared.',
  flags: [
    ...flags.shapeFlags,
    ...flags.reportFlags(),
    {
      flags: '--target <format>',
      says: 'the graph as written for this format, passes run',
      choices: ['onnx', 'tflite'],
    },
    saying(flags.passes, 'as in mbert convert'),
    ...flags.observeFlags,
    {
      flags: '--delegate <name>',
      says: 'which operators of a .tflite file XNNPACK takes, which products of an .onnx file run on integers',
      choices: ['xnnpack', 'onnxruntime'],
    },
  ],
  examples: [
    './mobilebert-sst2',
    './mobilebert-sst2 --target tflite > model.graph',
    'model.tflite --delegate xnnpack',
    'int8.onnx --delegate onnxruntime',
    './mobilebert-sst2 --target onnx --dump-passes passes/ --time-passes',
    './mobilebert-sst2 --json',
    'model.tflite --format html > model.html',
  ],
  async run({ io, progress, args: [source = ''], options }) {
    const outline = wantsPage(options);
    if (options.delegate !== undefined) {
      if (outline)
        throw new MbertError('USAGE', '--delegate: has no page', { hint: 'leave --report or --delegate out' });
      printPrediction(io, source, options.delegate, options.json === true || options.format === 'json');
      return 0;
    }
    const result = await inspect({ ...options, source, outline });
    progress.clear();
    warn(io, result.warnings);
    await printResult(io, options, {
      text: () => inspectText({ ...result, summary: shown(result.summary) }),
      // The outline is for pictures; JSON holds the graph as text.
      json: () => JSON.stringify({ ...result, outline: undefined }, null, 2),
      html: async () => (await import('../reports/inspect-html.ts')).inspectHtml({ ...result, source }),
    });
    printPassTimes(io, result);
    return 0;
  },
};

function printPrediction(io: Io, source: string, delegate: Delegate, asJson: boolean): void {
  const print = (prediction: object, text: string) =>
    io.out(`${asJson ? JSON.stringify(prediction, null, 2) : text}\n`);
  if (delegate === 'onnxruntime') {
    const products = predictOnnxRuntime(source);
    print(products, kernelsText(shown(products)));
  } else {
    const prediction = predictXnnpack(source);
    print(prediction, delegationText(shown(prediction)));
  }
}
