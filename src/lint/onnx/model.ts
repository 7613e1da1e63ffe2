import { dirname, join } from 'node:path';
import { MbertError } from '../../errors.ts';
import { decodeOnnx, type OnnxFile, type OnnxFileNode } from '../../formats/onnx-decode.ts';
import { type ModelFile, openBelow, openFile } from '../../io/files.ts';
import { readF32, type Tensor } from '../../ir/tensor.ts';

/** A written ONNX file as rules see it: the main graph only, as functions are a few exporters' way to spell norms. */
export interface OnnxLintModel {
  readonly file: OnnxFile;
  readonly nodes: readonly OnnxFileNode[];
  readonly opset: number;
  /** Initializers and the values of Constant nodes. */
  readonly constants: ReadonlyMap<string, Tensor>;
  /** The nodes that make values, by the values' names; inputs and constants have none. */
  readonly makers: ReadonlyMap<string, OnnxFileNode>;
  /** The nodes that read values, by the values' names, once for each input that does. */
  readonly readers: ReadonlyMap<string, readonly OnnxFileNode[]>;
  readonly outputs: ReadonlySet<string>;
  /** The files beside the model that should hold its weights and cannot be read, each with the reason. */
  readonly unreadable: ReadonlyMap<string, string>;
}

/** An ONNX file opened for rules, together with the files that its weights are in. */
export interface OpenedOnnx {
  readonly model: OnnxLintModel;
  /** The bytes of the model and of the files beside it. */
  readonly bytes: number;
  close(): void;
}

/**
 * Opens a model and what lies beside it. Throws MALFORMED for a file that is not ONNX, UNSUPPORTED for tensor types
 * that mbert does not have.
 */
export function openOnnx(path: string): OpenedOnnx {
  const file = openFile(path);
  try {
    return withFile(file);
  } catch (cause) {
    file.close();
    throw cause;
  }
}

function withFile(file: ModelFile): OpenedOnnx {
  const opened = new Map<string, ModelFile>();
  const unreadable = new Map<string, string>();
  const external = (location: string): ModelFile => {
    const earlier = opened.get(location);
    if (earlier) return earlier;
    const beside = openBeside(file, location, unreadable);
    opened.set(location, beside);
    return beside;
  };
  const model = readOnnxModel(decodeOnnx(file, external), unreadable);
  const files = [file, ...opened.values()];
  return {
    model,
    bytes: files.reduce((sum, { path, size }) => sum + (unreadable.has(path) ? 0 : size), 0),
    close: () => {
      for (const part of files) part.close();
    },
  };
}

/**
 * Opens a file beside the model. One that cannot be opened is a finding, not the end: in its place stands one that is
 * never read.
 */
function openBeside(file: ModelFile, location: string, unreadable: Map<string, string>): ModelFile {
  try {
    return openBelow(file, location);
  } catch (cause) {
    if (!(cause instanceof MbertError)) throw cause;
    const path = join(dirname(file.path), location);
    unreadable.set(location, cause.code === 'NOT_FOUND' ? 'does not exist' : "leaves the model's folder");
    const read = () => {
      throw new MbertError('NOT_FOUND', `${path}: cannot be read`);
    };
    return { path: location, size: Number.MAX_SAFE_INTEGER, read, sibling: read, close: () => {} };
  }
}

/** Builds the rules' view of a decoded file. */
function readOnnxModel(file: OnnxFile, unreadable: ReadonlyMap<string, string>): OnnxLintModel {
  const { nodes, initializers, outputs } = file.graph;
  const constants = new Map(initializers);
  const makers = new Map<string, OnnxFileNode>();
  const readers = new Map<string, OnnxFileNode[]>();
  for (const node of nodes) {
    const value = node.op === 'Constant' ? node.attributes.get('value') : undefined;
    if (value?.kind === 'tensor' && node.outputs[0] !== undefined) constants.set(node.outputs[0], value.value);
    else for (const output of node.outputs) makers.set(output, node);
    for (const input of node.inputs) {
      const list = readers.get(input);
      if (list) list.push(node);
      else readers.set(input, [node]);
    }
  }
  return {
    file,
    nodes,
    opset: file.opsets.get('') ?? 1,
    constants,
    makers,
    readers,
    outputs: new Set(outputs.map(({ name }) => name)),
    unreadable,
  };
}

/** Reads the DequantizeLinear that makes a value, if one does. */
export function dequantizerOf(model: OnnxLintModel, value: string | undefined): Dequantized | undefined {
  const node = value === undefined ? undefined : model.makers.get(value);
  if (node?.op !== 'DequantizeLinear') return undefined;
  const [stored = '', scale = '', zeroPoint = ''] = node.inputs;
  return {
    node,
    stored,
    constant: model.constants.get(stored),
    scale: model.constants.get(scale),
    zeroPoint: zeroPoint === '' ? undefined : model.constants.get(zeroPoint),
    hasZeroPoint: zeroPoint !== '',
    axis: intOf(node, 'axis', 1),
    block: intOf(node, 'block_size', 0),
  };
}

/** Stored integers with the scale and zero point by which a DequantizeLinear reads them. */
export interface Dequantized {
  readonly node: OnnxFileNode;
  /** The name of the integers. */
  readonly stored: string;
  /** The integers, where they are a constant. */
  readonly constant: Tensor | undefined;
  /** The scales; undefined where they are computed at run time. */
  readonly scale: Tensor | undefined;
  /** The zero points; undefined where there are none, or they are computed at run time. */
  readonly zeroPoint: Tensor | undefined;
  readonly hasZeroPoint: boolean;
  readonly axis: number;
  /** The number of values along the axis that share a scale; 0 where there are no blocks. */
  readonly block: number;
}

export function isLinear({ op, domain }: OnnxFileNode): boolean {
  return domain === '' && (op === 'Gemm' || op === 'MatMul');
}

export function intOf({ attributes }: OnnxFileNode, name: string, fallback: number): number {
  const attribute = attributes.get(name);
  return attribute?.kind === 'int' ? attribute.value : fallback;
}

export function floatOf({ attributes }: OnnxFileNode, name: string, fallback: number): number {
  const attribute = attributes.get(name);
  return attribute?.kind === 'float' ? attribute.value : fallback;
}

/** Reads scales or zero points as numbers; there are a few thousand at most. */
export function numbersOf(tensor: Tensor): Float32Array {
  return readF32(tensor);
}
