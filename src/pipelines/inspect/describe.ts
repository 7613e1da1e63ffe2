import { statSync } from 'node:fs';
import { extname } from 'node:path';
import { MbertError } from '../../errors.ts';
import { listFolder } from '../../io/files.ts';
import type { Graph } from '../../ir/graph.ts';
import { shapeText } from '../../ir/shape.ts';
import type { TensorType } from '../../ir/tensor.ts';
import { predictOnnxRuntime, predictXnnpack } from '../../lint/lint-file.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { GraphOutline } from '../../opened/outline.ts';
import { tokenizerFacts } from '../../samples/tokenizer-facts.ts';

/** An input or output of a model. */
export interface Port {
  readonly name: string;
  /** Dtype and shape, as `i32[1, 128]`. */
  readonly type: string;
}

/** Weights that are stored in one way. */
export interface StoredWeights {
  /** Storage of their numbers: `f32`, or `i8 per channel`. */
  readonly storage: string;
  readonly weights: number;
  readonly bytes: number;
}

/** Operators that the fastest kernels of a runtime take, and those that they leave. */
export interface DelegateSummary {
  readonly delegate: 'xnnpack' | 'onnxruntime';
  /** Number of operators (XNNPACK) or of products with integers in them (ONNX Runtime). */
  readonly operators: number;
  readonly taken: number;
  /** Parts of the graph that the delegate takes; null for ONNX Runtime, which has none. */
  readonly partitions: number | null;
  /** Operators that it leaves, by name. */
  readonly left: { readonly [operator: string]: number };
}

/** Facts of a model that do not need its graph to be read. */
export interface ModelDescription {
  /** `checkpoint`, or the format of a graph: `onnx`, `tflite`, `tfjs`, `tensorflow`. */
  readonly format: string;
  /** Size of the file; null for a folder. */
  readonly fileBytes: number | null;
  /** Program that wrote it; null where the file does not say. */
  readonly writtenBy: string | null;
  /** What the file states of itself besides. */
  readonly facts: { readonly [name: string]: string };
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Longest sequence, in tokens; null where nothing limits it. */
  readonly maxPositions: number | null;
  readonly labels: readonly string[] | null;
  readonly vocabulary: { readonly kind: string | null; readonly tokens: number; readonly lowerCase: boolean } | null;
  /** Weights by how they are stored, those with most bytes first. */
  readonly stored: readonly StoredWeights[];
  /** Values that are computed as integers, of all that are computed. */
  readonly integerValues: { readonly integers: number; readonly values: number };
  /** Null for what is neither a .tflite nor an .onnx file, or is to be written anew. */
  readonly delegate: DelegateSummary | null;
}

/** Describes a model: the graph as it is shown, and as its source stores it. */
export function describeModel(
  path: string,
  model: OpenedModel,
  graph: Graph,
  stored: GraphOutline,
  isFile: boolean,
): ModelDescription {
  const { isFolder } = listFolder(path);
  const facts = Object.fromEntries(model.facts ?? []);
  const computed = stored.nodes.filter(({ op }) => op !== 'input');
  return {
    format: model.format,
    fileBytes: isFolder ? null : statSync(path).size,
    writtenBy: writerOf(facts),
    facts,
    inputs: graph.inputs.map(({ name, type }) => ({ name, type: typeText(type) })),
    outputs: graph.outputs.map(({ name, node }) => ({ name, type: typeText(node.type) })),
    maxPositions: model.maxPositions === Number.MAX_SAFE_INTEGER ? null : model.maxPositions,
    labels: model.labels ?? null,
    vocabulary: vocabularyOf(model),
    stored: storedWeights(stored),
    integerValues: {
      integers: computed.filter(({ storage }) => storage.includes(' per ')).length,
      values: computed.length,
    },
    delegate: isFile ? delegateOf(path) : null,
  };
}

function typeText({ dtype, shape }: TensorType): string {
  return `${dtype}${shapeText(shape)}`;
}

function writerOf(facts: { readonly [name: string]: string }): string | null {
  const { 'mbert.version': own, producer, transformers } = facts;
  if (own !== undefined) return `mbert ${own}`;
  return producer || (transformers === undefined ? null : `transformers ${transformers}`);
}

function vocabularyOf({ tokenizer }: OpenedModel): ModelDescription['vocabulary'] {
  const { kind, tokens, lowerCase } = tokenizerFacts(tokenizer);
  return tokens.size === 0 ? null : { kind: kind ?? null, tokens: tokens.size, lowerCase };
}

function storedWeights({ weights }: GraphOutline): StoredWeights[] {
  const sums = new Map<string, { weights: number; bytes: number }>();
  for (const { storage, bytes } of weights) {
    const sum = sums.get(storage) ?? { weights: 0, bytes: 0 };
    sum.weights++;
    sum.bytes += bytes;
    sums.set(storage, sum);
  }
  const rows = [...sums].map(([storage, sum]) => ({ storage, ...sum }));
  return rows.sort((a, b) => b.bytes - a.bytes || (a.storage < b.storage ? -1 : 1));
}

/** Asks the rules which operators run fast; a file that they cannot read has no answer. */
function delegateOf(path: string): DelegateSummary | null {
  try {
    const extension = extname(path).toLowerCase();
    if (extension === '.tflite') return xnnpackSummary(path);
    return extension === '.onnx' ? onnxRuntimeSummary(path) : null;
  } catch (cause) {
    if (cause instanceof MbertError) return null;
    throw cause;
  }
}

function xnnpackSummary(path: string): DelegateSummary {
  const { partitions, operators } = predictXnnpack(path);
  const left = countBy(operators.filter(({ reason }) => reason !== undefined).map(({ code }) => code));
  const taken = operators.filter(({ reason }) => reason === undefined).length;
  return { delegate: 'xnnpack', operators: operators.length, taken, partitions, left };
}

function onnxRuntimeSummary(path: string): DelegateSummary {
  const products = predictOnnxRuntime(path);
  const slow = products.filter(({ cause }) => cause !== undefined);
  const left = countBy(slow.map(({ kernel }) => kernel));
  const taken = products.length - slow.length;
  return { delegate: 'onnxruntime', operators: products.length, taken, partitions: null, left };
}

function countBy(names: readonly string[]): { readonly [name: string]: number } {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
