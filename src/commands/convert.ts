import { MbertError } from '../errors.ts';
import type { FolderLayoutOptions } from '../options/forms.ts';
import { type ConvertOptions, convert } from '../pipelines/convert/convert.ts';
import { shown } from '../printable.ts';
import { fitText } from '../reports/fit.ts';
import { jsonText } from '../reports/json.ts';
import { convertText } from '../reports/text.ts';
import type { Call, CommandSpec } from './command.ts';
import * as flags from './flags.ts';
import { warn } from './io.ts';
import { printPassTimes } from './report.ts';

type ConvertFlags = Omit<ConvertOptions, 'source'> & FolderLayoutOptions & { readonly json?: true };

export const command: CommandSpec<ConvertFlags> = {
  description:
    'Writes a model as TFLite or ONNX, exact passes applied. Nothing that changes the function runs unless asked for.',
  flags: [
    ...flags.shapeFlags,
    ...flags.writingFlags,
    ...flags.folderFlags,
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
    './all-MiniLM-L6-v2 -o web/ --layout transformers.js --forms f32,dynamic --calibrate texts.txt',
    './all-MiniLM-L6-v2 -o served/ --layout sentence-transformers --forms f32,dynamic',
    './mobilebert-sst2 -o app/ --layout mediapipe --forms f32,int8 --calibrate texts.txt',
    './multilingual-e5-small -o small/ --layout transformers.js --forms dynamic --trim-vocabulary Latin,Cyrillic',
    './checkpoint -o raw.onnx --passes none',
    './minilm -o fast.tflite --passes layer-norm-to-no-norm,gelu-to-relu --calibrate texts.txt --verify',
    './minilm -o fast.onnx --passes layer-norm-to-no-norm --calibrate train.txt --data dev.tsv --max-drop 1',
    './mobilebert-ln -o fast.tflite --passes layer-norm-to-no-norm,gelu-to-relu --calibrate texts.txt --distill 1000',
    './minilm -o half.onnx --passes prune=0.5 --calibrate train.txt --data dev.tsv',
    './minilm -o least.onnx --passes prune --calibrate train.txt --data dev.tsv --max-drop 1',
    './checkpoint -o model.onnx --dump-passes passes/ --time-passes',
    './minilm -o small.onnx --passes split-embedding --embedding-rank 128 --calibrate texts.txt',
  ],
  notes: [
    '--max-drop: norms and activations that are too sensitive stay as they are until it holds; prune without a budget leaves as few operations as hold it',
    '--layout, --forms: --calibrate is for the forms int8 and w4 as well; mbert.json says what each form costs',
  ],
  exitOne: '--verify found a difference or --max-drop was passed',
  run: (call) => (call.options.layout || call.options.forms ? runFolder(call) : runConvert(call)),
};

async function runConvert({ io, progress, args: [source = ''], options }: Call<ConvertFlags>): Promise<number> {
  if (options.trimVocabulary !== undefined) {
    throw new MbertError('USAGE', '--trim-vocabulary: one file cannot carry the tokenizer, which changes as well', {
      hint: 'write a folder with --layout or --forms',
    });
  }
  const changed: ConvertOptions['changed'] = (report) => {
    progress.clear();
    if (!options.json) io.out(`${fitText(shown(report))}\n\n`);
  };
  const result = await convert({ ...options, source, changed, progress: progress.step, note: progress.note });
  progress.clear();
  warn(io, result.warnings);
  io.out(`${options.json ? jsonText(result) : convertText(shown(result))}\n`);
  printPassTimes(io, result);
  const isVerified = result.results.every(({ verify }) => verify?.ok ?? true);
  return isVerified && (result.fit?.failures.length ?? 0) === 0 ? 0 : 1;
}

async function runFolder({ io, progress, args: [source = ''], options }: Call<ConvertFlags>): Promise<number> {
  const { dtype, verify, ...others } = options;
  if (dtype === 'f16') {
    throw new MbertError('USAGE', '--dtype f16: --layout and --forms write forms', { hint: 'say --forms f16' });
  }
  if (verify) {
    throw new MbertError('USAGE', '--verify: --layout and --forms measure every form without it', {
      hint: 'leave it out: every form is run beside what it was made of, and mbert.json has the numbers',
    });
  }
  const [{ writeFolder }, { folderText }] = await Promise.all([
    import('../pipelines/folder/write-folder.ts'),
    import('../reports/folder.ts'),
  ]);
  const changed: ConvertOptions['changed'] = (report) => {
    progress.clear();
    if (!options.json) io.out(`${fitText(shown(report))}\n\n`);
  };
  const result = await writeFolder({ ...others, source, changed, progress: progress.step, note: progress.note });
  progress.clear();
  warn(io, [...result.warnings, ...result.results.flatMap((form) => form.warnings)]);
  io.out(`${options.json ? jsonText(result) : folderText(shown(result))}\n`);
  printPassTimes(io, result);
  const failures = [...(result.fit?.failures ?? []), ...result.results.flatMap((form) => form.failures)];
  return failures.length === 0 ? 0 : 1;
}
