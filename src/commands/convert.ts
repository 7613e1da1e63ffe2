import { type ConvertOptions, convert } from '../pipelines/convert/convert.ts';
import { fitText } from '../reports/fit.ts';
import { jsonText } from '../reports/json.ts';
import { convertText } from '../reports/text.ts';
import type { CommandSpec } from './command.ts';
import * as flags from './flags.ts';
import { warn } from './io.ts';
import { printPassTimes } from './report.ts';

export const command: CommandSpec<Omit<ConvertOptions, 'source'> & { readonly json?: true }> = {
  description:
    'Writes a model as TFLite or ONNX, exact passes applied. Nothing that changes the function runs unless asked for.',
  flags: [
    ...flags.shapeFlags,
    ...flags.writingFlags,
    ...flags.passFlags,
    ...flags.observeFlags,
    { flags: '--verify', says: 'run source and result on seeded inputs and compare; exit 1 if they differ' },
    ...flags.evidenceFlags,
    flags.json,
  ],
  examples: [
    './mobilebert-sst2 -o model.tflite',
    './mobilebert-squad -o model.onnx --verify',
    './checkpoint -o models/ --dtype f16 --sequence-length 64',
    './checkpoint -o raw.onnx --passes none',
    './minilm -o fast.tflite --passes layer-norm-to-no-norm,gelu-to-relu --calibrate texts.txt --verify',
    './minilm -o fast.onnx --passes layer-norm-to-no-norm --calibrate train.txt --data dev.tsv --max-drop 1',
    './mobilebert-ln -o fast.tflite --passes layer-norm-to-no-norm,gelu-to-relu --calibrate texts.txt --distill 1000',
    './checkpoint -o model.onnx --dump-passes passes/ --time-passes',
    './minilm -o small.onnx --passes split-embedding --embedding-rank 128 --calibrate texts.txt',
  ],
  notes: ['--max-drop: norms and activations that are too sensitive stay as they are until it holds'],
  exitOne: '--verify found a difference or --max-drop was passed',
  async run({ io, progress, args: [source = ''], options }) {
    const changed: ConvertOptions['changed'] = (report) => {
      progress.clear();
      if (!options.json) io.out(`${fitText(report)}\n\n`);
    };
    const result = await convert({ ...options, source, changed, progress: progress.step, note: progress.note });
    progress.clear();
    warn(io, result.warnings);
    io.out(`${options.json ? jsonText(result) : convertText(result)}\n`);
    printPassTimes(io, result);
    const isVerified = result.results.every(({ verify }) => verify?.ok ?? true);
    return isVerified && (result.fit?.failures.length ?? 0) === 0 ? 0 : 1;
  },
};
