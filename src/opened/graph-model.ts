import { extname } from 'node:path';
import { MbertError } from '../errors.ts';
import type { GraphSource } from '../importers/importer.ts';
import { copyGraph } from '../ir/copy-graph.ts';
import type { Graph, Node } from '../ir/graph.ts';
import { scalarOf } from '../ir/match.ts';
import { keepNothing, runPasses } from '../ir/pass.ts';
import type { Dim } from '../ir/shape.ts';
import { constantBytes } from '../ir/text.ts';
import type { Task } from '../models/index.ts';
import { refuseChoices, type ShapeOptions, type Size, type Sizes, sizesFor } from '../options/shape.ts';
import type { Target } from '../passes/index.ts';
import { raiseIntegers } from '../passes/raise/integers.ts';
import { raise } from '../passes/raise/raise.ts';
import { classifierTask, labelsOf, logitsKindOf, padOf } from './config-facts.ts';
import type { OpenedModel, OpenOptions } from './opened-model.ts';
import { paddingSideWarnings } from './padding-side.ts';

/** Opens a model that is stored as a graph: inputs, outputs and their order stay the source's. */
export async function fromGraph(source: GraphSource, options: OpenOptions): Promise<OpenedModel> {
  const { graph, path } = source;
  for (const [flag, given] of [
    ['task', options.task],
    ['mask', options.mask === 'strict' || undefined],
  ] as const) {
    if (given !== undefined) throw new MbertError('USAGE', `--${flag}: is for checkpoints, ${path} is a graph already`);
  }
  const integerBytes = graph.nodes().some(isStoredConstant) ? constantBytes(graph) : undefined;
  const reports = options.raise === false ? [] : await raise(graph, options.observers);
  if (options.keepsIntegers) {
    const pass = raiseIntegers(source.roundsFloats ? 'rounded' : 'real');
    await runPasses(graph, [pass], { ...keepNothing, observers: options.observers });
  }
  const task = taskOf(graph) ?? classifierTask(source);
  const maxPositions = positionsOf(graph);
  return {
    path,
    build(target, shapes = {}) {
      refuseInt16(source);
      return copyGraph(graph, {
        bindings: bindings(source, target, shapes, sizesFor(target, { task, maxPositions }, shapes)),
        indexType: target === 'tflite' ? 'i32' : undefined,
      });
    },
    reference: () => copyGraph(graph),
    task,
    architecture: graph.name,
    maxPositions,
    labels: labelsOf(source, task),
    logitsKind: logitsKindOf(source, task),
    config: source.config,
    tokenizer: source.tokenizer,
    pad: padOf(source.config),
    runnable: (await isRunnable(path)) ? path : undefined,
    integerBytes,
    format: graphFormat(path),
    facts: source.facts,
    warnings: [
      ...(source.notes ?? []),
      ...paddingSideWarnings(source.tokenizer),
      ...reports.flatMap(({ pass, declined }) =>
        joined(declined).map((reason) => `${path}: ${pass.name} left ${reason}`),
      ),
    ],
    unused: [],
    close: source.close,
  };
}

/**
 * Throws UNSUPPORTED for activations of 16 bits: what TensorFlow's converter writes with them computes one thing in its
 * own interpreter and another in LiteRT (measured: logits 6.4 apart), so there is no answer to be faithful to.
 */
function refuseInt16({ graph, path }: GraphSource): void {
  const node = graph
    .nodes()
    .find(({ op, type }) => op !== 'constant' && type.dtype === 'i16' && type.quant !== undefined);
  if (node === undefined) return;
  throw new MbertError('UNSUPPORTED', `${path}: ${node.name}: activations of 16 bits differ from runtime to runtime`, {
    hint: 'convert the float model that this file was made from',
  });
}

function isStoredConstant({ op, type }: Node): boolean {
  return op === 'constant' && type.quant !== undefined;
}

const FORMATS: { readonly [extension: string]: string } = { '.onnx': 'onnx', '.tflite': 'tflite', '.json': 'tfjs' };

/** Format of a graph by the name of its file, as its importer has accepted it. */
export function graphFormat(path: string): string {
  return FORMATS[extname(path).toLowerCase()] ?? 'tensorflow';
}

/** True for the formats of graphs that the runtimes take; those of a model.json are asked, as not each can be told. */
async function isRunnable(path: string): Promise<boolean> {
  if (/\.(onnx|tflite)$/i.test(path)) return true;
  return /\.json$/i.test(path) && (await import('../runtimes/index.ts')).findRuntime(path) !== undefined;
}

/** Infers the task from the output names: question answering and sentence embedding have names of their own. */
function taskOf(graph: Graph): Task | undefined {
  const names = new Set(graph.outputs.map(({ name }) => name));
  if (names.has('sentence_embedding')) return 'sentence-embedding';
  return names.has('start_logits') && names.has('end_logits') ? 'qa' : undefined;
}

/**
 * The rows of the position table, which is sliced to the length of a run; of a table that is read by counted tokens,
 * those behind the row of padding. For a model of fixed length, that length.
 */
function positionsOf(graph: Graph): number {
  for (const node of graph.nodes()) {
    const [table, indices] = node.inputs;
    if (table?.op !== 'constant' || table.tensor.shape.length < 2) continue;
    const rows = table.tensor.shape[0] ?? 0;
    if (node.op === 'slice' && typeof node.attrs.end === 'string') return rows;
    const padding = node.op === 'gather' ? paddingRow(indices) : undefined;
    if (padding !== undefined) return rows - padding - 1;
  }
  const length = graph.inputs[0]?.type.shape.at(-1);
  return typeof length === 'number' ? length : Number.MAX_SAFE_INTEGER;
}

/** Row of padding, which is added to counted tokens where they are rows of a table. */
function paddingRow(indices: Node | undefined): number | undefined {
  let node = indices;
  while (node?.op === 'cast' || node?.op === 'reshape') node = node.inputs[0];
  if (node?.op !== 'add') return undefined;
  const offset = node.inputs.find((input) => input.op === 'constant');
  const counted = node.inputs.find((input) => input !== offset);
  const isCounted = counted?.op === 'mul' && counted.inputs.some(({ op }) => op === 'cumulativeSum');
  return offset && isCounted ? (scalarOf(offset) ?? undefined) : undefined;
}

/** Joins what was left for one reason in every layer: `name: reason` becomes `name and 21 more: reason`. */
function joined(declined: readonly string[]): string[] {
  const names = new Map<string, string[]>();
  for (const text of declined) {
    const [name = '', ...reason] = text.split(': ');
    names.set(reason.join(': '), [...(names.get(reason.join(': ')) ?? []), name]);
  }
  return [...names].map(([reason, [first, ...others]]) => {
    const name = others.length > 0 ? `${first} and ${others.length} more` : first;
    return reason === '' ? `${name}` : `${name}: ${reason}`;
  });
}

/**
 * Sizes for the symbols of the source's inputs. ONNX keeps a symbol that the user does not fix; TFLite gets batch 1 and
 * the default length and number of choices, as phones want fixed shapes. A size that the source has fixed cannot be
 * changed.
 */
function bindings(source: GraphSource, target: Target, shapes: ShapeOptions, usual: Sizes): Record<string, number> {
  const shape = source.graph.inputs[0]?.type.shape ?? [];
  const bound: Record<string, number> = {};
  const bind = (flag: string, dim: Dim | undefined, requested: Size | undefined, fallback: Size) => {
    if (typeof dim === 'string') {
      const size = requested ?? fallback;
      if (size !== 'dynamic') bound[dim] = size;
    } else if (requested !== undefined && requested !== dim) {
      throw new MbertError('USAGE', `--${flag}: ${source.path} is fixed to ${dim}`);
    }
  };
  bind('sequence-length', shape.at(-1), shapes.sequenceLength, usual.sequenceLength);
  if (shape.length > 1) bind('batch', shape[0], shapes.batch, target === 'tflite' ? 1 : 'dynamic');
  refuseChoices(shapes, shape.length > 2, source.path);
  if (shape.length > 2) bind('choices', shape[1], shapes.choices, usual.choices);
  // Exporters may name the sizes of each input anew: what the first one has at the same place, the others have.
  for (const input of source.graph.inputs.slice(1)) {
    input.type.shape.forEach((dim, axis) => {
      const like = shape[axis === input.type.shape.length - 1 && axis > 0 ? shape.length - 1 : axis];
      const size = typeof like === 'string' ? bound[like] : undefined;
      if (typeof dim === 'string' && size !== undefined) bound[dim] ??= size;
    });
  }
  return bound;
}
