import { MbertError } from '../errors.ts';
import { type QuantizeOptions, type QuantizeResult, quantize } from '../pipelines/quantize/quantize.ts';
import { shown } from '../printable.ts';
import { targets } from '../quantization/targets.ts';
import { fitText } from '../reports/fit.ts';
import { jsonText } from '../reports/json.ts';
import { pages } from '../reports/pages.ts';
import { quantizeText } from '../reports/quantize.ts';
import type { CommandSpec } from './command.ts';
import * as flags from './flags.ts';
import { warn } from './io.ts';
import { printPassTimes, printResult, type ReportOptions, wantsPage } from './report.ts';

export const command: CommandSpec<Omit<QuantizeOptions, 'source'> & ReportOptions> = {
  description:
    'Writes a model quantized after training. Runs the float and the quantized model on texts that were not calibrated on, and prints how far their answers differ.',
  flags: [
    ...flags.shapeFlags,
    ...flags.writingFlags,
    ...flags.passFlags,
    ...flags.observeFlags,
    ...flags.reportFlags(),
    ...flags.quantizationFlags,
    ...flags.evidenceFlags,
  ],
  examples: [
    './mobilebert-sst2 -o model.onnx --scheme int8 --calibrate texts.txt',
    './mobilebert-sst2 -o model.tflite --scheme dynamic',
    './checkpoint -o models/ --scheme int8 --calibrate train.txt --data dev.tsv --max-drop 0.5',
    './checkpoint -o int8.onnx --scheme int8 --calibrate train.txt --report int8.html',
    './minilm -o fast.onnx --scheme int8 --passes layer-norm-to-no-norm,gelu-to-relu --calibrate texts.txt',
    './checkpoint -o w4.onnx --scheme w4 --calibrate texts.txt',
    './checkpoint -o w4.tflite --scheme w4 --granularity block --rounding gptq --calibrate texts.txt',
    './checkpoint -o npu.tflite --scheme int8 --target npu --calibrate texts.txt --sequence-length 64',
  ],
  notes: ['Targets:', ...targets.map(({ name, summary }) => `  ${name.padEnd(8)} ${summary}`)],
  exitOne: 'more was lost than --max-drop or --max-size allow',
  async run({ io, progress, args: [source = ''], options, isVerbose }) {
    if (options.dryRun && options.report !== undefined) {
      throw new MbertError('USAGE', '--dry-run: writes nothing, and --report a file');
    }
    const outline = wantsPage(options);
    const changed: QuantizeOptions['changed'] = (report) => {
      progress.clear();
      if (options.format === 'text' && !options.json) io.out(`${fitText(shown(report))}\n\n`);
    };
    const result = await quantize({
      ...options,
      source,
      outline,
      changed,
      progress: progress.step,
      note: progress.note,
    });
    progress.clear();
    warn(io, [...result.warnings, ...result.results.flatMap((file) => file.warnings)]);
    await printResult(io, options, {
      text: () => quantizeText(shown(result), { everyNote: isVerbose }),
      json: () => jsonText(withoutOutlines(result)),
      html: () => pages.quantize(result),
    });
    printPassTimes(io, result);
    const failures = [...(result.fit?.failures ?? []), ...result.results.flatMap((file) => file.failures)];
    return failures.length === 0 ? 0 : 1;
  },
};

/** The result without the outlines of graphs, which are for pictures. */
function withoutOutlines(result: QuantizeResult): QuantizeResult {
  return { ...result, results: result.results.map(({ outline: _, sourceOutline: __, ...file }) => file) };
}
