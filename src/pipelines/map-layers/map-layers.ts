import { openRuns } from '../../calibration/token-runs.ts';
import { MbertError } from '../../errors.ts';
import { writeWhole } from '../../io/files.ts';
import type { Graph } from '../../ir/graph.ts';
import type { BatchValues, TextRuns } from '../../ir/text-runs.ts';
import { openModel } from '../../opened/open-model.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { tableRows } from '../../opened/token-tables.ts';
import { type EvidenceOptions, evidenceOf } from '../../options/evidence.ts';
import { type Run, type RunOptions, startRun } from '../../options/run.ts';
import type { SampleManifest } from '../../samples/open-samples.ts';
import { cheapestRisingMap, greedyRisingMap } from '../../solve/monotone-map.ts';
import { encoderLayers } from '../evaluate/encoder-layers.ts';
import { rowReader } from '../evaluate/row-reader.ts';
import { takeSamples } from '../evaluate/sample-sets.ts';
import { alignment, type LayerValues, layerValues, reconstructionError } from './similarity.ts';

/** Ways in which layers of a student are mapped to those of a teacher. */
export const MAPPINGS = ['best', 'greedy', 'uniform', 'last'] as const;
export type Mapping = (typeof MAPPINGS)[number];

/** Options of `mapLayers`. */
export interface MapLayersOptions
  extends RunOptions,
    Pick<EvidenceOptions, 'calibrate' | 'samples' | 'seed' | 'text' | 'pair'> {
  readonly teacher: string;
  readonly student: string;
  /** A .json file that gets the map of `method`. Default: none is written. */
  readonly output?: string | undefined;
  /** Default `best`. */
  readonly method?: Mapping | undefined;
}

/** One way to map layers, and how well it does. */
export interface LayerMapping {
  readonly method: Mapping;
  /** The teacher's layer of each of the student's. */
  readonly map: readonly number[];
  /** Mean error of the teacher's layers as linear functions of the student's, on held-out text. */
  readonly error: number;
  /** Mean centred kernel alignment. */
  readonly alignment: number;
}

/** Result of `mapLayers`. */
export interface LayerMappings {
  readonly teacher: string;
  readonly student: string;
  readonly method: Mapping;
  readonly mappings: readonly LayerMapping[];
  /** Errors by layer of the student, then of the teacher. */
  readonly errors: readonly (readonly number[])[];
  /** Alignments by layer of the student, then of the teacher. */
  readonly alignments: readonly (readonly number[])[];
  readonly calibration: SampleManifest | undefined;
  readonly warnings: readonly string[];
}

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
    return {
      mappings: mappingsOf(errors, alignments),
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
  const outputs = encoderLayers(graph, path).map(({ output }) => output);
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
  const places = errors.map((_, layer) => layer);
  const maps: { readonly [M in Mapping]: readonly number[] } = {
    best: cheapestRisingMap(errors.map((row) => Float64Array.from(row))),
    greedy: greedyRisingMap(alignments.map((row) => Float64Array.from(row))),
    uniform: places.map((layer) => Math.round(((layer + 1) * teachers) / students) - 1),
    last: places.map((layer) => teachers - students + layer),
  };
  const mean = (of: readonly (readonly number[])[], map: readonly number[]) =>
    map.reduce((sum, teacher, student) => sum + (of[student]?.[teacher] as number), 0) / students;
  return MAPPINGS.map((method) => {
    const map = maps[method];
    return { method, map, error: mean(errors, map), alignment: mean(alignments, map) };
  });
}

async function writeMap(path: string, map: readonly number[]): Promise<void> {
  const text = `${JSON.stringify(Object.fromEntries(map.map((teacher, student) => [student, teacher])))}\n`;
  await writeWhole(path, new TextEncoder().encode(text));
}
