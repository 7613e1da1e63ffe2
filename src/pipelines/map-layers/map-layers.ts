import { openRuns } from '../../calibration/token-runs.ts';
import { MbertError } from '../../errors.ts';
import { writeWhole } from '../../io/files.ts';
import type { Graph } from '../../ir/graph.ts';
import type { BatchValues, TextRuns } from '../../ir/text-runs.ts';
import { openModel } from '../../opened/open-model.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { tableRows } from '../../opened/token-tables.ts';
import { evidenceOf } from '../../options/evidence.ts';
import { type Run, startRun } from '../../options/run.ts';
import { cheapestRisingMap, greedyRisingMap } from '../../solve/monotone-map.ts';
import { wholeEncoderLayers } from '../evaluate/encoder-layers.ts';
import { layersOf } from '../evaluate/layer-map.ts';
import { rowReader } from '../evaluate/row-reader.ts';
import { takeSamples } from '../evaluate/sample-sets.ts';
import { checkSearch, meanAlong, searchMap } from './search-map.ts';
import { alignment, type LayerValues, layerValues, reconstructionError } from './similarity.ts';
import { type LayerMapping, type LayerMappings, MAPPINGS, type MapLayersOptions, type Mapping } from './types.ts';

const DEFAULT_SAMPLES = 256;
/** Longest text, in tokens. */
const MAX_LENGTH = 128;

/**
 * Finds which layer of a teacher each layer of a student is nearest to, on text that both read. Throws MbertError: USAGE
 * without text, MISMATCH where the student has more layers or fewer words, UNSUPPORTED for a model without attention.
 */
export async function mapLayers(options: MapLayersOptions): Promise<LayerMappings> {
  const { calibrate, method = 'best', output } = options;
  if (calibrate === undefined) {
    throw new MbertError('USAGE', 'map-layers: needs --calibrate FILE', {
      hint: 'some hundred lines of text as the models will see it',
    });
  }
  if (output !== undefined && !output.endsWith('.json'))
    throw new MbertError('USAGE', `-o ${output}: a layer map is a .json file`);
  checkSearch(options);
  const run = startRun(options);
  run.progress('reading');
  const teacher = await openModel(options.teacher);
  try {
    const student = await openModel(options.student);
    try {
      const found = await compare(teacher, student, options, run);
      if (output !== undefined)
        await writeMap(output, found.mappings.find((each) => each.method === method)?.map ?? []);
      return { teacher: options.teacher, student: options.student, method, ...found };
    } finally {
      student.close();
    }
  } finally {
    teacher.close();
  }
}

async function compare(teacher: OpenedModel, student: OpenedModel, options: MapLayersOptions, run: Run) {
  const graphs = { teacher: teacher.reference(), student: student.reference() };
  const words = [graphs.student, graphs.teacher].map((graph) => tableRows(graph, 'input_ids'));
  if (words[0] !== words[1]) {
    throw new MbertError('MISMATCH', `${options.student}: has ${words[0]} words, the teacher ${words[1]}`, {
      hint: 'layers are compared on the same tokens, so that both need one vocabulary',
    });
  }
  const maxLength = Math.min(MAX_LENGTH, teacher.maxPositions, student.maxPositions);
  const evidence = evidenceOf(options, DEFAULT_SAMPLES);
  const { columns } = evidence;
  const reader = rowReader(teacher, graphs.teacher, { maxLength, seed: options.seed, columns, note: run.note });
  const samples = takeSamples(reader, { evidence, task: teacher.task, classOf: undefined });
  const { pad } = reader.tokenizer;
  const [a, b] = [
    await openRuns(graphs.student, samples.calibration, { pad }),
    await openRuns(graphs.teacher, samples.calibration, { pad }),
  ];
  try {
    const students = await valuesOf(graphs.student, options.student, a);
    const teachers = await valuesOf(graphs.teacher, options.teacher, b);
    if (students.length > teachers.length) {
      throw new MbertError(
        'MISMATCH',
        `${options.student}: has ${students.length} layers, the teacher ${teachers.length}`,
        {
          hint: 'the teacher is named first, the student second',
        },
      );
    }
    const errors: number[][] = [];
    const alignments: number[][] = [];
    for (const own of students) {
      run.progress('comparing layers', errors.length, students.length);
      const row = { errors: [] as number[], alignments: [] as number[] };
      for (const other of teachers) {
        row.errors.push(await reconstructionError(own, other, a));
        row.alignments.push(await alignment(own, other, a));
      }
      errors.push(row.errors);
      alignments.push(row.alignments);
    }
    const found = mappingsOf(errors, alignments);
    const searched =
      options.method === 'genetic'
        ? await searchMap(
            {
              graphs,
              errors,
              alignments,
              found,
              rows: samples.calibration,
              textsHash: samples.manifest?.sha256,
            },
            options,
            run,
          )
        : undefined;
    return {
      mappings: searched ? [...found, searched.mapping] : found,
      ...(searched && { search: searched.summary }),
      errors,
      alignments,
      calibration: samples.manifest,
      warnings: [...teacher.warnings, ...student.warnings],
    };
  } finally {
    await a.close();
    await b.close();
  }
}

async function valuesOf(graph: Graph, path: string, runs: TextRuns): Promise<LayerValues[]> {
  const outputs = wholeEncoderLayers(graph, path).map(({ output }) => output);
  const values = await runs.compute(graph, outputs, new Map());
  const prepared: LayerValues[] = [];
  for (const node of outputs) prepared.push(await layerValues(runs.matrixOf(values.get(node) as BatchValues), runs));
  return prepared;
}

/** Maps by each method, with the means of their errors and alignments. */
export function mappingsOf(
  errors: readonly (readonly number[])[],
  alignments: readonly (readonly number[])[],
): LayerMapping[] {
  const [students, teachers] = [errors.length, errors[0]?.length ?? 0];
  const maps: { readonly [M in Mapping]: readonly number[] } = {
    best: cheapestRisingMap(errors.map((row) => Float64Array.from(row))),
    greedy: greedyRisingMap(alignments.map((row) => Float64Array.from(row))),
    uniform: layersOf('uniform', students, teachers),
    last: layersOf('last', students, teachers),
  };
  return MAPPINGS.map((method) => {
    const map = maps[method];
    return { method, map, error: meanAlong(errors, map), alignment: meanAlong(alignments, map) };
  });
}

async function writeMap(path: string, map: readonly number[]): Promise<void> {
  const text = `${JSON.stringify(Object.fromEntries(map.map((teacher, student) => [student, teacher])))}\n`;
  await writeWhole(path, new TextEncoder().encode(text));
}
