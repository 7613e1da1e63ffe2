import { MAPPINGS, type MapLayersOptions, mapLayers } from '../pipelines/map-layers/map-layers.ts';
import { shown } from '../printable.ts';
import { jsonText } from '../reports/json.ts';
import { mapLayersText } from '../reports/map-layers.ts';
import { type CommandSpec, saying } from './command.ts';
import * as flags from './flags.ts';
import { warn } from './io.ts';

export const command: CommandSpec<Omit<MapLayersOptions, 'teacher' | 'student'> & { readonly json?: true }> = {
  description:
    'Tells which layer of a teacher each layer of a student is nearest to, on text. The map is for verify --layers and extract --layers.',
  flags: [
    {
      flags: '-o, --output <file>',
      says: 'write the map as {"student layer": teacher layer}',
      isOutput: true,
    },
    {
      flags: '--method <method>',
      says: 'which map is written: the least error, the greatest alignment one by one, evenly spread, or the last layers',
      choices: MAPPINGS,
      default: 'best',
    },
    {
      flags: '--calibrate <file>',
      says: 'texts as the models will see them: lines, TSV, CSV, JSON or JSON lines',
      isRequired: true,
    },
    saying(flags.samples, 'how many of them, from the first one (default: 256)'),
    flags.seed,
    ...flags.textColumnFlags,
    flags.json,
  ],
  examples: ['./bert-base ./minilm --calibrate texts.txt -o map.json', './minilm ./student --calibrate texts.txt'],
  async run({ io, progress, args: [teacher = '', student = ''], options }) {
    const result = await mapLayers({ ...options, teacher, student, progress: progress.step, note: progress.note });
    progress.clear();
    warn(io, result.warnings);
    io.out(`${options.json ? jsonText(result) : mapLayersText(shown(result))}\n`);
    return 0;
  },
};
