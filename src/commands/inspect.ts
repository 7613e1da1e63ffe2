import { MbertError } from '../errors.ts';
import { predictOnnxRuntime, predictXnnpack } from '../lint/lint-file.ts';
import { type InspectOptions, inspect } from '../pipelines/inspect/inspect.ts';
import { shown } from '../printable.ts';
import { delegationText, kernelsText } from '../reports/delegation.ts';
import { graphPage, inspectText } from '../reports/inspect.ts';
import { jsonText } from '../reports/json.ts';
import { pages } from '../reports/pages.ts';
import { type CommandSpec, saying } from './command.ts';
import * as flags from './flags.ts';
import { type Io, warn } from './io.ts';
import { printPassTimes, printResult, type ReportOptions, wantsPage } from './report.ts';
import { refuseUnused } from './unused-flags.ts';

type Delegate = 'xnnpack' | 'onnxruntime';

type InspectFlags = Omit<InspectOptions, 'source'> &
  ReportOptions & { readonly delegate?: Delegate; readonly graph?: true };

export const command: CommandSpec<InspectFlags> = {
  description:
    'Says what a model is: who wrote it, what goes in and comes out, how it is stored. With --graph, prints the canonical text of the graph: stable, so that it can be committed and compared.',
  flags: [
    ...flags.shapeFlags,
    { flags: '--graph', says: 'print the graph as text, one node a line, for lock files and mbert diff' },
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
    './mobilebert-sst2 --graph --target tflite > model.graph',
    'model.tflite --delegate xnnpack',
    'int8.onnx --delegate onnxruntime',
    './mobilebert-sst2 --target onnx --dump-passes passes/ --time-passes',
    './mobilebert-sst2 --json',
    'model.tflite --format html > model.html',
  ],
  async run({ io, progress, args: [source = ''], options }) {
    const outline = wantsPage(options);
    if (options.graph && options.format !== 'text')
      throw new MbertError('USAGE', '--graph: is text', {
        hint: '--json has the text as "text", and nodes and weights',
      });
    if (options.delegate !== undefined) {
      if (outline)
        throw new MbertError('USAGE', '--delegate: has no page', { hint: 'leave --report or --delegate out' });
      const problem = '--delegate reads the file as it is: no shape is set and no pass runs';
      refuseUnused(options, ['delegate', 'json', 'format'], problem, 'leave FLAG or --delegate out');
      printPrediction(io, source, options.delegate, options.json === true || options.format === 'json');
      return 0;
    }
    const result = await inspect({ ...options, source, outline, progress: progress.step, note: progress.note });
    progress.clear();
    warn(io, result.warnings);
    await printResult(io, options, {
      text: () => (options.graph ? graphPage({ ...result, summary: shown(result.summary) }) : inspectText(result)),
      // The outline is for pictures; JSON holds the graph as text.
      json: () => jsonText({ ...result, outline: undefined }),
      html: () => pages.inspect(result),
    });
    printPassTimes(io, result);
    return 0;
  },
};

function printPrediction(io: Io, source: string, delegate: Delegate, asJson: boolean): void {
  const print = (prediction: object, text: string) => io.out(`${asJson ? jsonText(prediction) : text}\n`);
  if (delegate === 'onnxruntime') {
    const products = predictOnnxRuntime(source);
    print({ products }, kernelsText(shown(products)));
  } else {
    const prediction = predictXnnpack(source);
    print(prediction, delegationText(shown(prediction)));
  }
}
