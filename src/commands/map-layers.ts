import { mapLayers } from '../pipelines/map-layers/map-layers.ts';
import { FITNESS, type MapLayersOptions, METHODS } from '../pipelines/map-layers/types.ts';
import { shown } from '../printable.ts';
import { jsonText } from '../reports/json.ts';
import { mapLayersText } from '../reports/map-layers.ts';
import { type CommandSpec, saying } from './command.ts';
import * as flags from './flags.ts';
import { warn } from './io.ts';
import { positiveInteger } from './parsers.ts';
import { PROGRAM } from './program.ts';

export const command: CommandSpec<Omit<MapLayersOptions, 'teacher' | 'student'> & { readonly json?: true }> = {
  description:
    'Tells which layer of a teacher each layer of a student is nearest to, on text. The map is for distill --layer-map, verify --layers and extract --layers.',
  flags: [
    {
      flags: '-o, --output <file>',
      says: 'write the map as {"student layer": teacher layer}',
      isOutput: true,
    },
    {
      flags: '--method <method>',
      says: 'which map is written: the least sum by --fitness, the greatest alignment one by one, evenly spread, the last layers, or what a genetic search finds',
      choices: METHODS,
      default: 'best',
    },
    {
      flags: '--calibrate <file>',
      says: 'texts as the models will see them: lines, TSV, CSV, JSON or JSON lines',
      isRequired: true,
    },
    saying(flags.samples, 'how many of them, from the first one (default: 256; for distillations: all)'),
    saying(flags.seed, 'shuffle them first; of a genetic search: what it draws by (default: 1)'),
    {
      flags: '--fitness <what>',
      says: 'best, genetic: layers that do the same, layers that give the same, or, of genetic, the answers after a short distillation with the map (default: function, or error where layers cannot be run by themselves)',
      choices: FITNESS,
    },
    { flags: '--population <n>', says: 'genetic: maps of a generation (default: 12)', parse: positiveInteger },
    { flags: '--generations <n>', says: 'genetic: generations (default: 10)', parse: positiveInteger },
    { flags: '--steps <n>', says: 'distill: steps of each distillation (default: 40)', parse: positiveInteger },
    { flags: '--jobs <n>', says: 'distill: processes at the same time (default: 1)', parse: positiveInteger },
    { flags: '--resume', says: 'distill: go on where an interrupted call with the same flags stopped' },
    ...flags.textColumnFlags,
    flags.json,
  ],
  examples: [
    './bert-base ./minilm --calibrate texts.txt -o map.json',
    './minilm ./student --calibrate texts.txt',
    './minilm ./student --calibrate texts.txt --method genetic --fitness distill --jobs 4 -o map.json',
  ],
  async run({ io, progress, args: [teacher = '', student = ''], options }) {
    const result = await mapLayers({
      ...options,
      teacher,
      student,
      program: PROGRAM,
      progress: progress.step,
      note: progress.note,
    });
    progress.clear();
    warn(io, result.warnings);
    io.out(`${options.json ? jsonText(result) : mapLayersText(shown(result))}\n`);
    return 0;
  },
};
