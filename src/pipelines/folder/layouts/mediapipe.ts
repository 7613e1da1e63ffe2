import { MbertError } from '../../../errors.ts';
import type { Task } from '../../../models/index.ts';
import { tokenizerOf } from '../../../opened/model-tokenizer.ts';
import { tokenizerFacts } from '../../../samples/tokenizer-facts.ts';
import { showsLogits } from '../../write/outputs.ts';
import type { Layout, LayoutRequest } from '../layout.ts';
import { trimmedFiles } from '../side-files.ts';

/** Tasks that MediaPipe Text has, and question answering of Task Library, which opens the same files. */
const TASKS: readonly (Task | undefined)[] = ['sequence-classification', 'sentence-embedding', 'qa'];

/** The folder of TFLite files that MediaPipe Text opens: vocabulary and labels are in the files. */
export const mediapipe: Layout = {
  name: 'mediapipe',
  formats: ['tflite'],
  w4Target: 'cpu',
  isOneFile: false,
  fileOf: (form) => ({ stem: form === 'f32' ? 'model' : `model_${form}`, openedBy: undefined }),
  settle(request) {
    refuse(request);
    const { model, writing } = request;
    return { ...writing, softmax: writing.softmax || showsLogits(model, writing), unusedTokenTypes: true };
  },
  sideFiles: ({ model, writing }) => (model.kept === undefined ? [] : trimmedFiles(model, writing.tokenizer)),
};

function refuse({ model, shape, writing }: LayoutRequest): void {
  const { task, path } = model;
  if (shape.batch !== undefined && shape.batch !== 1) {
    throw new MbertError('USAGE', `--batch ${shape.batch}: MediaPipe runs one text at a time`, {
      hint: 'leave it out',
    });
  }
  if (!TASKS.includes(task) && writing.outputs?.length !== 1) {
    const what = task ?? 'a graph without a task';
    throw new MbertError('UNSUPPORTED', `${path}: ${what}: MediaPipe has no task that reads its outputs`, {
      hint: 'it classifies and embeds: name the one output to give out with --outputs, or write the file without --layout',
    });
  }
  const facts = tokenizerFacts(tokenizerOf(model, writing.tokenizer));
  if (facts.vocabulary !== undefined) return;
  const problem = facts.kind === undefined ? 'there is no vocabulary' : `its tokenizer is ${facts.kind}`;
  throw new MbertError(
    'UNSUPPORTED',
    `${path}: ${problem}: MediaPipe cuts texts with the WordPiece vocabulary of a file`,
    {
      hint:
        facts.kind === undefined ? 'give one with --vocab' : 'write the file without --layout, and give it token ids',
    },
  );
}
