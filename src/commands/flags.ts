import { TASKS } from '../models/index.ts';
import { FORMS, LAYOUTS } from '../options/forms.ts';
import { RANGE_METHODS, ROUNDINGS, SCHEMES } from '../quantization/settings.ts';
import { targets } from '../quantization/targets.ts';
import { GRANULARITIES } from '../quantization/weights.ts';
import { type Flag, saying } from './command.ts';
import {
  byteSize,
  dtype,
  embeddingRank,
  integer,
  integerOrDynamic,
  nameList,
  percentage,
  positiveInteger,
  regularExpression,
  scheme,
  stepCount,
  W8A16,
} from './parsers.ts';

export const task: Flag = {
  flags: '--task <task>',
  says: 'which head to build (default: what the checkpoint says)',
  choices: TASKS,
};

const sequenceLength: Flag = {
  flags: '--sequence-length <n|dynamic>',
  says: 'default: dynamic for ONNX; for TFLite 384 (qa) or 128',
  parse: integerOrDynamic,
};

const batch: Flag = {
  flags: '--batch <n|dynamic>',
  says: 'sequences in a run (default: dynamic for ONNX, 1 for TFLite)',
  parse: integerOrDynamic,
};

/** Flags for how a source becomes a graph. */
export const shapeFlags: readonly Flag[] = [
  task,
  { flags: '--base <source>', says: 'the model that an adapter was trained on' },
  sequenceLength,
  batch,
  {
    flags: '--choices <n|dynamic>',
    says: 'multiple choice: choices of a question (default: dynamic, 4 for TFLite)',
    parse: integerOrDynamic,
  },
];

export const passes: Flag = {
  flags: '--passes <list>',
  says: 'a,b adds passes, -c takes one out, none starts empty, prune=0.5 sets a budget; see mbert passes',
};

/** Flags for which passes run, and what they may do. */
export const passFlags: readonly Flag[] = [
  passes,
  {
    flags: '--keep <regex>',
    says: 'passes leave nodes with such names alone; those that are fitted to texts still fit their weights',
    parse: regularExpression,
  },
  {
    flags: '--embedding-rank <n|share%>',
    says: 'split-embedding: columns of the narrow table, or 95% of its energy (default: 128)',
    parse: embeddingRank,
  },
  {
    flags: '--distill <steps|time|auto>',
    says: 'train behind passes that change the function: steps of 32 texts towards the original, 500 and more, or a time, as 15min; auto ends when held-out texts gain no more, after 13min at most',
    parse: stepCount,
  },
];

/** Flags that show passes while they run. */
export const observeFlags: readonly Flag[] = [
  {
    flags: '--dump-passes <dir>',
    says: 'write the graph as text before the passes and behind each that changed it, with diffs',
    isOutput: true,
  },
  { flags: '--time-passes', says: 'print to stderr what each pass took; in JSON it is passTimes' },
];

export const vocab: Flag = { flags: '--vocab <file>', says: "vocab.txt or tokenizer.json in place of the model's own" };

/** Flags for how a file is written, and what it carries. */
export const writingFlags: readonly Flag[] = [
  {
    flags: '-o, --output <path>',
    says: 'a .tflite or .onnx file, or a folder for one of each',
    isRequired: true,
    isOutput: true,
  },
  { flags: '--dry-run', says: 'write nothing, and say what would be written and how large it would be' },
  { flags: '--force', says: 'replace files that mbert did not write' },
  { flags: '--dtype <dtype>', says: 'how weights are stored', choices: ['f32', 'f16'], parse: dtype, default: 'f32' },
  {
    flags: '--mask <how>',
    says: 'attention mask: as the source computes it, or with all padding excluded',
    choices: ['faithful', 'strict'],
    default: 'faithful',
  },
  { flags: '--softmax', says: 'TFLite classification: output probabilities in place of logits' },
  {
    flags: '--outputs <names>',
    says: 'which outputs to write, as a,b (default: all; in TFLite an embedding or a score alone)',
    parse: nameList,
  },
  {
    flags: '--drop-token-types',
    says: 'take no token_type_ids: every token is of the first text (exact for single texts)',
  },
  { flags: '--opset <n>', says: 'ONNX: operator set, 13 to 23 (default: 17)', parse: positiveInteger },
  { flags: '--external-data', says: 'ONNX: weights in a file beside the model (default: above 2 GB)' },
  {
    flags: '--min-runtime <version>',
    says: 'TFLite: the oldest TensorFlow release that must load the file, as 2.14',
  },
  { flags: '--labels <file>', says: "class names, one a line, in place of the model's own" },
  vocab,
];

/** Flags for a folder that holds more than a model. */
export const folderFlags: readonly Flag[] = [
  {
    flags: '--layout <program>',
    says: 'write the folder that a program opens: models under its names, config, tokenizer, mbert.json',
    choices: LAYOUTS,
  },
  {
    flags: '--forms <list>',
    says: `write the model in several forms in one go, as f32,int8,w4, each proved: ${FORMS.join(', ')} (default: f32)`,
    parse: nameList,
  },
  {
    flags: '--trim-vocabulary <texts|scripts>',
    says: 'with --layout or --forms: keep the tokens of a file of texts, or of scripts as Latin,Greek, and take the others out of model and tokenizer',
  },
];

export const samples: Flag = {
  flags: '--samples <n>',
  says: 'how many of them, from the first one (default: 128; 768 for passes that are fitted)',
  parse: positiveInteger,
};

export const seed: Flag = { flags: '--seed <n>', says: 'shuffle them first', parse: integer };

export const data: Flag = {
  flags: '--data <file>',
  says: 'held-out texts, with labels or without (default: the rest of --calibrate)',
};

const [text, pair, label]: readonly [Flag, Flag, Flag] = [
  {
    flags: '--text <column>',
    says: 'TSV, CSV and JSON: the column with the text (default: text, sentence and other names that data sets have)',
  },
  { flags: '--pair <column>', says: 'the column with the second text of a pair' },
  { flags: '--label <column>', says: 'the column with the label (default: label, labels, target, class or sentiment)' },
];

/** Flags for which columns of a file are texts. */
export const textColumnFlags: readonly Flag[] = [text, pair];

/** Flags for which columns of a file are texts and labels. */
export const columnFlags: readonly Flag[] = [text, pair, label];

export const maxDrop: Flag = {
  flags: '--max-drop <points>',
  says: 'accuracy (or agreement, or similarity ranks of embeddings) that may be lost; more is exit 1',
  parse: percentage,
};

export const calibrate: Flag = {
  flags: '--calibrate <file>',
  says: 'texts as the model will see them: lines, TSV, CSV, JSON or JSON lines',
};

/** Flags for the texts that a model is calibrated on and measured on. */
export const evidenceFlags: readonly Flag[] = [
  calibrate,
  samples,
  seed,
  data,
  ...columnFlags,
  maxDrop,
  { flags: '--allow-overlap', says: 'measure on texts that were calibrated on, and say so in the file' },
];

/** Flags for how weights and activations become integers. */
export const quantizationFlags: readonly Flag[] = [
  {
    flags: '--scheme <scheme>',
    says: 'int8 and int16x8 (8-bit weights, 16-bit values, also called w8a16) are calibrated; dynamic and w4 are closer with texts, f16 needs none',
    choices: [...SCHEMES, W8A16],
    parse: scheme,
    isRequired: true,
  },
  {
    flags: '--target <name>',
    says: 'where it will run; ort: ONNX Runtime 1.22 and newer, with operators of its own',
    choices: targets.map(({ name }) => name),
    default: 'cpu',
  },
  { flags: '--range <method>', says: 'how the range of a value is chosen', choices: RANGE_METHODS },
  {
    flags: '--granularity <scales>',
    says: 'scales of a weight: one, one per output channel, or one per block of neighbours (w4; with --target ort dynamic) (default: what the target runs fastest)',
    choices: GRANULARITIES,
  },
  {
    flags: '--rounding <how>',
    says: 'gptq lets the errors of a weight make up for one another; it is used where held-out texts are better for it (default: with --calibrate gptq for w4 and int16x8, for dynamic where the target is ort, and for int8 and dynamic where loud channels were smoothed; else nearest)',
    choices: ROUNDINGS,
  },
  {
    flags: '--bias-correction',
    says: 'take what rounding does to the mean of outputs out of biases, where held-out texts are better for it',
  },
  {
    flags: '--refit',
    says: 'fit the linears of a w4 file anew, each behind the rounded ones before it, where held-out texts are better for it; takes more than twice the time',
  },
  {
    flags: '--recipe <file>',
    says: 'JSON rules for single nodes: [{ "match": "layer\\\\.0\\\\.", "scheme": "float" }]',
  },
  { flags: '--dump-recipe <file>', says: 'write the settings of every node as a recipe', isOutput: true },
  {
    flags: '--max-size <size>',
    says: 'as 8MB; a larger file is exit 1; w4 for ort gives 8 bits to as many linears as fit',
    parse: byteSize,
  },
  { flags: '--no-scan', says: 'keep no linear in higher precision by measurement' },
  { flags: '--io <dtype>', says: 'TFLite: the outputs', choices: ['f32', 'int8'], default: 'f32' },
];

export const json: Flag = { flags: '--json', says: 'print the result as JSON' };

/** Flags for how a result is printed; `more` are formats besides text, json and html, which `note` explains. */
export function reportFlags(more: readonly string[] = [], note = ''): readonly Flag[] {
  const html = 'html: a page with tables, plots and, where there is one, the graph';
  return [
    {
      flags: '--format <format>',
      says: `how to print the result; ${note}${html}`,
      choices: ['text', 'json', ...more, 'html'],
      default: 'text',
    },
    saying(json, 'the same as --format json'),
    { flags: '--report <file>', says: 'write the HTML page besides, in one file', isOutput: true },
  ];
}
