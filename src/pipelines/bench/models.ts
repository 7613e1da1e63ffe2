import { isUnsupported, MbertError } from '../../errors.ts';
import { parseJson } from '../../formats/json.ts';
import { readTfjsModel, readTfjsText } from '../../formats/tfjs.ts';
import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import { listFolder, type ModelFile, openFile, siblingPath, withFile } from '../../io/files.ts';
import type { Graph } from '../../ir/graph.ts';
import { openOnnx } from '../../lint/onnx/model.ts';
import type { Task } from '../../models/index.ts';
import { openModel } from '../../opened/open-model.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { tableRows } from '../../opened/token-tables.ts';
import { passChoice } from '../../options/passes.ts';
import { startRun } from '../../options/run.ts';
import type { ShapeOptions } from '../../options/shape.ts';
import { writingOf } from '../../options/writing.ts';
import type { Target } from '../../passes/index.ts';
import { runtimeFor } from '../../runtimes/index.ts';
import { writePlans } from '../write/plans.ts';
import { prepare } from '../write/prepare.ts';
import { type WrittenFile, writeModel } from '../write/write-model.ts';

/** Formats that a runtime takes: those that mbert writes, and that of TF.js, which is read alone. */
export type BenchFormat = Target | 'tfjs';

/** A file that a runtime takes, with what mbert read in it. */
export interface BenchModel {
  /** Name in reports: its path, or the path of the source and the format that it was written as. */
  readonly name: string;
  readonly path: string;
  readonly format: BenchFormat;
  /** Size of the file, external data included. */
  readonly bytes: number;
  /** Storage of its weights; undefined where mbert cannot read the graph. */
  readonly storage: 'f32' | 'f16' | 'integers' | undefined;
  readonly maxPositions: number;
  readonly vocabRows: number;
  readonly tokenTypes: number;
  readonly tokenizer: TokenizerFiles;
  /** Id of padding. */
  readonly pad: number;
}

/**
 * Number of ids that every real vocabulary has. LiteRT does not check ids, so larger ones are used only where the size
 * of the table is known.
 */
const SMALLEST_VOCABULARY = 100;

/** Options for building sources that no runtime takes as they are. */
export interface SourceOptions {
  readonly task: Task | undefined;
  readonly shape: ShapeOptions;
}

/**
 * Opens a file that a runtime takes as it is; any other source is first written as both formats into `folder`, with
 * default passes.
 */
export async function openBenchModels(
  source: string,
  folder: string,
  options: SourceOptions,
  warn: (warning: string) => void,
): Promise<BenchModel[]> {
  const format = formatOf(source);
  if (format !== undefined) return [await describe(source, source, format, warn)];
  const { runnable, written } = await writeBoth(source, folder, options, warn);
  const models: BenchModel[] = [];
  if (runnable !== undefined && runtimeFor(runnable).name === 'tfjs' && (await runsItself(runnable, warn))) {
    models.push(await describe(runnable, source, 'tfjs', warn));
  }
  for (const { target, files } of written) {
    const { path } = files[0] as { readonly path: string };
    models.push(await describe(path, `${source} as ${target}`, target, warn));
  }
  return models;
}

/**
 * The format of a file that is run as it is; undefined for a folder, or a file by another name, which is written once
 * more.
 */
function formatOf(path: string): Target | undefined {
  if (listFolder(path).isFolder) return undefined;
  if (path.endsWith('.onnx')) return 'onnx';
  return path.endsWith('.tflite') ? 'tflite' : undefined;
}

/** Whether the runtime of a source is there and takes it; where not, the source is timed as other formats alone. */
async function runsItself(runnable: string, warn: (warning: string) => void): Promise<boolean> {
  try {
    await (await runtimeFor(runnable).load(runnable)).close();
    return true;
  } catch (cause) {
    if (!(cause instanceof MbertError)) throw cause;
    warn(`${cause.message}: it is not timed itself`);
    return false;
  }
}

/**
 * Writes a source as both formats, as `convert` does by default. `runnable` is its own file where a runtime takes that, as
 * the model.json of TF.js.
 */
async function writeBoth(
  source: string,
  folder: string,
  { task, shape }: SourceOptions,
  warn: (warning: string) => void,
): Promise<{ readonly runnable: string | undefined; readonly written: readonly WrittenFile[] }> {
  const [run, passes, writing] = [startRun({}), passChoice({}), writingOf({}, folder, undefined)];
  try {
    const model = await openModel(source, { task });
    try {
      const files: WrittenFile[] = [];
      for (const plan of writePlans(folder)) {
        const prepared = await prepare(model, plan.target, { shape, passes, writing, run });
        files.push(await writeModel(model, prepared, { plan, writing, properties: {}, run }));
      }
      for (const warning of model.warnings) warn(warning);
      return { runnable: model.runnable, written: files };
    } finally {
      model.close();
    }
  } catch (cause) {
    if (!(cause instanceof MbertError) || cause.hint !== undefined) throw cause;
    throw new MbertError(cause.code, cause.message, {
      hint: 'bench runs .onnx and .tflite files; anything else must be a model that mbert convert writes',
      cause,
    });
  }
}

async function describe(
  path: string,
  name: string,
  format: BenchFormat,
  warn: (warning: string) => void,
): Promise<BenchModel> {
  const common = { name, path, format, bytes: bytesOf(path, format) };
  let model: OpenedModel;
  try {
    model = await openModel(path);
  } catch (cause) {
    if (!isUnsupported(cause)) throw cause;
    warn(`${cause.message}: a runtime may take it all the same; it gets token ids below ${SMALLEST_VOCABULARY}`);
    return { ...common, ...UNREAD };
  }
  try {
    const graph = model.reference();
    const rows = tableRows(graph, 'input_ids');
    return {
      ...common,
      storage: storageOf(graph),
      maxPositions: model.maxPositions,
      vocabRows: rows > 1 ? rows : SMALLEST_VOCABULARY,
      tokenTypes: tableRows(graph, 'token_type_ids'),
      tokenizer: model.tokenizer,
      pad: model.pad,
    };
  } finally {
    model.close();
  }
}

/** Assumptions about a file that mbert cannot read. */
const UNREAD = {
  storage: undefined,
  maxPositions: Number.MAX_SAFE_INTEGER,
  vocabRows: SMALLEST_VOCABULARY,
  tokenTypes: 1,
  tokenizer: {},
  pad: 0,
} as const;

function storageOf(graph: Graph): 'f32' | 'f16' | 'integers' {
  const nodes = graph.nodes();
  if (nodes.some(({ op, type }) => type.quant !== undefined || op === 'dynamicRound')) return 'integers';
  return nodes.some(({ op, type }) => op === 'constant' && type.dtype === 'f16') ? 'f16' : 'f32';
}

/** The size of a file and of the files beside it that hold its weights. */
function bytesOf(path: string, format: BenchFormat): number {
  if (format === 'tfjs') return withFile(path, (file) => file.size + tfjsWeightBytes(file));
  const file = format === 'onnx' ? openOnnx(path) : openFile(path);
  file.close();
  return 'bytes' in file ? file.bytes : file.size;
}

function tfjsWeightBytes(file: ModelFile): number {
  const { groups } = readTfjsModel(parseJson(readTfjsText(file), file.path), file.path);
  const paths = groups.flatMap((group) => group.paths);
  return paths.reduce((sum, path) => sum + withFile(siblingPath(file.path, path), ({ size }) => size), 0);
}
