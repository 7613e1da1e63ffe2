import { type ExtractOptions, extract } from '../pipelines/extract/extract.ts';
import { METHODS } from '../pipelines/extract/importance.ts';
import { shown } from '../printable.ts';
import { extractText } from '../reports/extract.ts';
import { jsonText } from '../reports/json.ts';
import { type CommandSpec, saying } from './command.ts';
import * as flags from './flags.ts';
import { warn } from './io.ts';

export const command: CommandSpec<Omit<ExtractOptions, 'source'> & { readonly json?: true }> = {
  description:
    'Cuts a student out of a BERT: layers, hidden channels, heads and neurons. The folder that it writes is loaded by transformers and by mbert.',
  flags: [
    { flags: '-o, --output <folder>', says: 'a new or empty folder', isRequired: true, isOutput: true },
    {
      flags: '--shape <shape>',
      says: 'a preset, as xtremedistil-l6-h256 or mobilebert, or a .json file with num_hidden_layers, hidden_size, intermediate_size, or with the sizes of a MobileBERT',
      isRequired: true,
    },
    {
      flags: '--method <method>',
      says: 'which channels stay: by what answers lose, by their energy, any, or none: new weights, to train from scratch',
      choices: METHODS,
      default: 'importance',
    },
    {
      flags: '--layers <how>',
      says: 'which layers stay: uniform, first, last or a .json file {"student layer": teacher layer}',
      default: 'uniform',
    },
    { flags: '--recover', says: "fit the linears, one after the other, to the teacher's values" },
    flags.task,
    ...flags.evidenceFlags
      .filter((flag) => flag !== flags.maxDrop)
      .map((flag) =>
        flag === flags.samples ? saying(flag, 'how many of them, from the first one (default: 768)') : flag,
      ),
    flags.json,
  ],
  examples: [
    './bert-base -o student/ --shape minilm-l6-h384 --calibrate texts.txt --recover',
    './minilm -o student/ --shape student.json --calibrate train.txt --data dev.tsv --recover',
    './bert-base -o student/ --shape bert-small --method random',
    './bert-base -o student/ --shape mobilebert --calibrate texts.txt --recover',
  ],
  notes: ['the loss is large before training; --passes prune loses far less where the speed is all that counts'],
  async run({ io, progress, args: [source = ''], options }) {
    const result = await extract({ ...options, source, progress: progress.step, note: progress.note });
    progress.clear();
    warn(io, result.warnings);
    io.out(`${options.json ? jsonText(result) : extractText(shown(result))}\n`);
    return 0;
  },
};
