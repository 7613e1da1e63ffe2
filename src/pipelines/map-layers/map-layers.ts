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
import { wholeEncoderLayers } from '../evaluate/encoder-layers.ts';
import { rowReader } from '../evaluate/row-reader.ts';
import { takeSamples } from '../evaluate/sample-sets.ts';
import { compareFunctions } from './compare-functions.ts';
import { fitnessOf, mappingsOf } from './mappings.ts';
import { checkSearch, searchMap } from './search-map.ts';
import { alignment, type LayerValues, layerValues, reconstructionError } from './similarity.ts';
import type { LayerMappings, MapLayersOptions } from './types.ts';

const DEFAULT_SAMPLES = 256;
/** The reason in a warning that layers were compared by their values in place of what they do. */
const NOT_ALONE = 'layers cannot be run by themselves on what the others read: the map is of the values that they give';
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
    const functionErrors =
      options.fitness === 'error'
        ? null
        : await compareFunctions(graphs, options, {
            rows: samples.calibration,
            pad,
            progress: (done, total) => run.progress('comparing what layers do', done, total),
          });
    if (functionErrors === null && options.fitness === 'function') throw notAlone(options);
    const pairs = { functionErrors, errors, alignments };
    const found = mappingsOf(pairs);
    const known = { graphs, pairs, found, rows: samples.calibration, textsHash: samples.manifest?.sha256 };
    const searched = options.method === 'genetic' ? await searchMap(known, options, run) : undefined;
    return {
      fitness: fitnessOf(pairs),
      mappings: searched ? [...found, searched.mapping] : found,
      ...(searched && { search: searched.summary }),
      ...pairs,
      calibration: samples.manifest,
      warnings: [...teacher.warnings, ...student.warnings, ...(functionErrors || options.fitness ? [] : [NOT_ALONE])],
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

function notAlone({ teacher, student }: MapLayersOptions): MbertError {
  return new MbertError(
    'UNSUPPORTED',
    `--fitness function: layers of ${teacher} cannot be run on what ${student} reads`,
    {
      hint: 'a layer must read one value, and both models take texts of the same sizes; --fitness error compares what layers give',
    },
  );
}

async function writeMap(path: string, map: readonly number[]): Promise<void> {
  const text = `${JSON.stringify(Object.fromEntries(map.map((teacher, student) => [student, teacher])))}\n`;
  await writeWhole(path, new TextEncoder().encode(text));
}
