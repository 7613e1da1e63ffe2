import { distill } from '../pipelines/distill/distill.ts';
import type { DistillOptions } from '../pipelines/distill/types.ts';
import { STRATEGIES } from '../pipelines/training/stages.ts';
import { shown } from '../printable.ts';
import { distillText } from '../reports/distill.ts';
import { jsonText } from '../reports/json.ts';
import { pages } from '../reports/pages.ts';
import { type CommandSpec, saying } from './command.ts';
import * as flags from './flags.ts';
import { warn } from './io.ts';
import { nameList, nonNegativeInteger, positiveNumber, stepCount } from './parsers.ts';
import { printResult, type ReportOptions, refuseReport } from './report.ts';

export const command: CommandSpec<Omit<DistillOptions, 'student'> & ReportOptions> = {
  description:
    'Trains a student to answer as its teacher does, on texts without labels. Both may differ in layers and widths, and read the same tokens.',
  flags: [
    { flags: '--teacher <model>', says: 'a checkpoint or .onnx file over the same vocabulary', isRequired: true },
    {
      flags: '--texts <file>',
      says: 'texts to learn from, as the models will see them: lines, TSV, CSV, JSON or JSON lines',
      isRequired: true,
    },
    {
      flags: '--steps <n|time|auto>',
      says: 'steps of 32 texts, some hundred at least, or a time, as 15min; auto ends when held-out texts gain no more, after 13min at most',
      parse: stepCount,
      isRequired: true,
    },
    {
      flags: '-o, --output <path>',
      says: 'a new or empty folder for a Hugging Face checkpoint, or a .onnx or .tflite file',
      isRequired: true,
      isOutput: true,
    },
    {
      flags: '--layer-map <map>',
      says: 'which layer of the teacher teaches which: uniform, first, last, none, N:M or a .json file {"student layer": teacher layer} (default: uniform)',
    },
    {
      flags: '--strategy <strategy>',
      says: 'auxiliary: layers and answers all the time; joint: layers, then answers; progressive: layer by layer, then answers',
      choices: STRATEGIES,
      default: 'auxiliary',
    },
    {
      flags: '--views <list>',
      says: 'what the student sees of a text, in turns, while the teacher sees all of it: full,left,right,masked (default: full)',
      parse: nameList,
    },
    { flags: '--labels', says: 'learn from the labels of the texts as well' },
    { flags: '--rate <rate>', says: 'the highest rate of learning (default: 0.0002)', parse: positiveNumber },
    { flags: '--resume', says: 'go on where an interrupted call with the same options stopped' },
    {
      flags: '--checkpoint-every <steps>',
      says: 'how often the state is saved beside the output, 0 for never (default: 200)',
      parse: nonNegativeInteger,
    },
    flags.task,
    ...flags.reportFlags(),
    ...flags.evidenceFlags
      .filter((flag) => flag !== flags.maxDrop && !flag.flags.startsWith('--calibrate'))
      .map((flag) => {
        if (flag === flags.samples) return saying(flag, 'how many texts are read at most (default: 50000)');
        if (flag !== flags.data) return flag;
        return saying(flag, 'held-out texts, with labels or without (default: the rest of --texts)');
      }),
  ],
  examples: [
    './student --teacher ./minilm --texts train.txt --steps 1000 -o trained/ --data dev.tsv',
    './student --teacher ./minilm --texts train.txt --steps auto -o trained.tflite',
    './student --teacher ./bert-base --texts train.txt --steps 2000 -o trained/ --layer-map map.json --strategy progressive',
    './student --teacher ./minilm --texts train.tsv --steps 1000 -o trained/ --labels --views full,left,right,masked',
    './student --teacher ./minilm --texts train.txt --steps 1000 -o trained/ --resume',
  ],
  notes: [
    'an interrupted call leaves OUTPUT.training, from which --resume goes on to the same result',
    'a student is made by mbert extract; mbert map-layers finds a map',
  ],
  async run({ io, progress, args: [student = ''], options }) {
    refuseReport(options);
    const result = await distill({ ...options, student, progress: progress.step, note: progress.note });
    progress.clear();
    warn(io, result.warnings);
    await printResult(io, options, {
      text: () => distillText(shown(result)),
      json: () => jsonText(result),
      html: () => pages.distill(result),
    });
    return 0;
  },
};
