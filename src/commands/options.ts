import { type Command, InvalidArgumentError, Option } from 'commander';
import type { EmbeddingRank } from '../ir/pass.ts';
import { TASKS } from '../models/index.ts';

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('it must be a positive integer.');
  return value;
}

export function integer(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value)) throw new InvalidArgumentError('it must be an integer.');
  return value;
}

export function percentage(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 100)) throw new InvalidArgumentError('it must be 0 to 100.');
  return value;
}

const UNITS: { readonly [unit: string]: number } = { '': 1, B: 1, KB: 1e3, MB: 1e6, GB: 1e9 };

/** `8MB`, `8.5 mb` or bytes. */
export function byteSize(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?) ?([kmg]?b)?$/i.exec(text.trim()) ?? [];
  const factor = UNITS[(unit ?? '').toUpperCase()];
  if (digits === undefined || factor === undefined) throw new InvalidArgumentError('it must be a size such as 8MB.');
  return Math.floor(Number(digits) * factor);
}

/** `128` columns, or `95%` of the table's energy. */
export function embeddingRank(text: string): EmbeddingRank {
  const [, percent] = /^(\d+(?:\.\d+)?) ?%$/.exec(text.trim()) ?? [];
  if (percent === undefined) return positiveInteger(text);
  const share = Number(percent) / 100;
  if (!(share > 0 && share <= 1)) throw new InvalidArgumentError('it must be columns, as 128, or a share, as 95%.');
  return { share };
}

function integerOrDynamic(text: string): number | 'dynamic' {
  return text === 'dynamic' ? 'dynamic' : positiveInteger(text);
}

function regularExpression(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (cause) {
    throw new InvalidArgumentError(
      `it must be a regular expression: ${cause instanceof Error ? cause.message : cause}`,
    );
  }
}

/** Options of every command that turns a source into a graph. */
export function addShapeOptions(command: Command): Command {
  return command
    .addOption(new Option('--task <task>', 'which head to build (default: what the checkpoint says)').choices(TASKS))
    .option('--sequence-length <n|dynamic>', 'default: dynamic for ONNX; for TFLite 384 (qa) or 128', integerOrDynamic)
    .option('--batch <n|dynamic>', 'sequences in a run (default: 1)', integerOrDynamic)
    .option(
      '--choices <n|dynamic>',
      'multiple choice: choices of a question (default: dynamic, 4 for TFLite)',
      integerOrDynamic,
    );
}

/** Options of every command that writes a model. */
export function addOutputOptions(command: Command): Command {
  return addShapeOptions(command)
    .requiredOption('-o, --output <path>', 'a .tflite or .onnx file, or a folder for one of each')
    .addOption(new Option('--dtype <dtype>', 'how weights are stored').choices(['f32', 'f16']).default('f32'))
    .option('--passes <list>', 'a,b adds passes, -c takes one out, none starts empty; see mbert passes')
    .option('--keep <regex>', 'passes leave nodes with such names alone', regularExpression)
    .option(
      '--embedding-rank <n|share%>',
      'split-embedding: columns of the narrow table, or 95% of its energy (default: 128)',
      embeddingRank,
    )
    .option(
      '--distill <steps>',
      'train behind passes that change the function: steps of 32 texts towards the original, 500 and more',
      positiveInteger,
    )
    .addOption(
      new Option('--mask <how>', 'attention mask: as the source computes it, or with all padding excluded')
        .choices(['faithful', 'strict'])
        .default('faithful'),
    )
    .option('--softmax', 'TFLite classification: output probabilities in place of logits')
    .option('--opset <n>', 'ONNX: operator set, 13 to 23 (default: 17)', positiveInteger)
    .option('--external-data', 'ONNX: weights in a file beside the model (default: above 2 GB)')
    .option('--min-runtime <version>', 'TFLite: the oldest TensorFlow release that must load the file, as 2.14')
    .option('--labels <file>', "class names, one a line, in place of the model's own")
    .option('--vocab <file>', "vocab.txt in place of the model's own");
}
