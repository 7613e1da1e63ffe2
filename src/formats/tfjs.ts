import { MbertError, malformed } from '../errors.ts';
import { decodeText } from '../io/bytes.ts';
import type { ModelFile } from '../io/files.ts';
import { sizeOf } from '../ir/shape.ts';
import { arrayOf, byteLength, computedTensor, type DType, type Tensor } from '../ir/tensor.ts';
import type { TfAttributes, TfGraph, TfNode, TfPort, TfShape } from './graphdef.ts';
import { isObject, type JsonObject, type JsonValue, jsonText } from './json.ts';
import { tfTypeNamed } from './tf-types.ts';

/** Most bytes of a model.json: the graph of MobileBERT takes 1.5 MB. */
const MAX_MODEL_BYTES = 64 * 2 ** 20;

/** Reads the text of a model.json. Throws MALFORMED for one that is larger than any. */
export function readTfjsText(file: ModelFile): string {
  if (file.size > MAX_MODEL_BYTES) throw malformed(file.path, `${file.size} bytes are over ${MAX_MODEL_BYTES}`);
  return decodeText(file.read(0, file.size), file.path);
}

/** A model.json as tensorflowjs_converter 1.0 to 4.22 writes it for graph models. */
export interface TfjsModel {
  readonly graph: TfGraph;
  /** Inputs of the signature, `attention_mask` where it says `attention_mask:0`; empty where the file has none, as before converter 2. */
  readonly inputs: readonly TfPort[];
  readonly outputs: readonly TfPort[];
  readonly groups: readonly WeightGroup[];
}

/** Weights that lie one after the other in files that are read as one. */
interface WeightGroup {
  readonly paths: readonly string[];
  readonly weights: readonly Weight[];
}

type Weight = NumberWeight | TextWeight;

interface NumberWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly stored: Stored;
}

/** Messages of assertions, which nothing computes with. */
interface TextWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'text';
}

/** Storage of a weight in its file: as it is, as f16, or as value = scale · stored + min. */
type Stored =
  | { readonly dtype: DType; readonly scale?: undefined }
  | { readonly dtype: 'u8' | 'u16'; readonly scale: number; readonly min: number };

/** Reads a parsed model.json. Throws UNSUPPORTED for layers models, MALFORMED for anything that no converter writes. */
export function readTfjsModel(json: JsonValue, what: string): TfjsModel {
  if (!isObject(json)) throw malformed(what, `is ${jsonText(json)}, not a JSON object`);
  const topology = json.get('modelTopology');
  const isLayers = json.get('format') === 'layers-model' || (isObject(topology) && topology.has('model_config'));
  if (isLayers) {
    throw new MbertError('UNSUPPORTED', `${what}: is a TF.js layers model, which holds Keras layers and no graph`, {
      hint: 'convert the original with tensorflowjs_converter --output_format=tfjs_graph_model',
    });
  }
  if (!isObject(topology)) throw malformed(what, 'has no modelTopology');
  const signature = json.get('signature') ?? json.get('userDefinedMetadata');
  const ports = (kind: string) => {
    const inner = isObject(signature) ? (signature.get('signature') ?? signature) : undefined;
    const side = isObject(inner) ? inner.get(kind) : undefined;
    return isObject(side) ? readPorts(side, `${what}: signature ${kind}`) : [];
  };
  return {
    graph: {
      nodes: objects(topology.get('node'), `${what}: modelTopology.node`).map((node, i) =>
        readNode(node, `${what}: node ${i}`),
      ),
      functions: new Map(),
    },
    inputs: ports('inputs'),
    outputs: ports('outputs'),
    groups: objects(json.get('weightsManifest'), `${what}: weightsManifest`).map((group) => readGroup(group, what)),
  };
}

function readPorts(side: JsonObject, what: string): TfPort[] {
  return [...side].map(([name, info]) => {
    if (!isObject(info)) throw malformed(what, `${name}: is ${jsonText(info)}, not an object`);
    // A signature's names are those of values: `attention_mask:0` is the first one of a node.
    return { name: name.replace(/:0$/, ''), value: text(info.get('name'), `${what}: ${name}: name`) };
  });
}

function readNode(node: JsonObject, what: string): TfNode {
  const name = text(node.get('name'), `${what}: name`);
  const attributes = node.get('attr');
  return {
    name,
    op: text(node.get('op'), `${what}: op`),
    inputs: array(node.get('input') ?? [], `${what}: input`).map((input) => text(input, `${what}: input`)),
    attributes: readAttributes(isObject(attributes) ? attributes : new Map(), `${what} ${name}`),
  };
}

/** Reads AttrValues in protobuf's JSON form: 64-bit integers may be strings, bytes are base64. */
function readAttributes(attributes: JsonObject, what: string): TfAttributes {
  const value = (name: string, kind: string): JsonValue | undefined => {
    const attribute = attributes.get(name);
    return isObject(attribute) ? attribute.get(kind) : undefined;
  };
  const list = (name: string, kind: string): readonly JsonValue[] => {
    const items = value(name, 'list');
    return isObject(items) ? array(items.get(kind) ?? [], `${what}: ${name}`) : [];
  };
  return {
    names: [...attributes.keys()],
    plain(name) {
      const attribute = attributes.get(name);
      if (!isObject(attribute)) return undefined;
      const [kind, content] = [...attribute][0] ?? [];
      if (kind === 's') return decodeBase64(content ?? '', `${what}: ${name}`);
      if (kind === 'i') return integer(content ?? 0, `${what}: ${name}`);
      if (kind === 'shape') return readShape(content, `${what}: ${name}`);
      return typeof content === 'string' || typeof content === 'number' || typeof content === 'boolean'
        ? content
        : undefined;
    },
    int: (name) => integer(value(name, 'i') ?? 0, `${what}: ${name}`),
    float: (name) => Number(value(name, 'f') ?? 0),
    bool: (name) => value(name, 'b') === true,
    text: (name) => decodeBase64(value(name, 's') ?? '', `${what}: ${name}`),
    type: (name) => readType(value(name, 'type') ?? 0, `${what}: ${name}`),
    shape: (name) => readShape(value(name, 'shape'), `${what}: ${name}`),
    ints: (name) => list(name, 'i').map((item) => integer(item, `${what}: ${name}`)),
    texts: (name) => list(name, 's').map((item) => decodeBase64(item, `${what}: ${name}`)),
    shapes: (name) => list(name, 'shape').map((item) => readShape(item, `${what}: ${name}`)),
    functionName(name) {
      const called = value(name, 'func');
      return isObject(called) ? text(called.get('name'), `${what}: ${name}`) : '';
    },
    // The values lie in the weight files, under the node's name.
    tensor: () => undefined,
  };
}

function readType(value: JsonValue, what: string): number {
  if (typeof value === 'number') return value;
  return tfTypeNamed(String(value)) ?? fail(what, `${jsonText(value)} is not a type`);
}

function readShape(value: JsonValue | undefined, what: string): TfShape {
  if (!isObject(value) || value.get('unknownRank') === true) return undefined;
  const shape = objects(value.get('dim') ?? [], what).map((dim) => integer(dim.get('size') ?? 0, what));
  if (shape.some((dim) => dim < -1)) throw malformed(what, `shape [${shape}] has a negative size`);
  return shape;
}

const DTYPE_OF: ReadonlyMap<string, DType> = new Map([
  ['float32', 'f32'],
  ['float16', 'f16'],
  ['int32', 'i32'],
  ['uint8', 'u8'],
  ['uint16', 'u16'],
  ['bool', 'bool'],
]);

function readGroup(group: JsonObject, file: string): WeightGroup {
  const what = `${file}: weightsManifest`;
  return {
    paths: array(group.get('paths'), `${what}: paths`).map((path) => text(path, `${what}: paths`)),
    weights: objects(group.get('weights'), `${what}: weights`).map((weight) => readWeight(weight, what)),
  };
}

function readWeight(weight: JsonObject, what: string): Weight {
  const name = text(weight.get('name'), `${what}: name`);
  const part = `${what}: ${name}`;
  const shape = array(weight.get('shape'), `${part}: shape`).map((dim) => integer(dim, `${part}: shape`));
  if (shape.some((dim) => dim < 0) || !Number.isSafeInteger(sizeOf(shape) * 8)) {
    throw malformed(part, `shape [${shape}] is out of range`);
  }
  if (weight.get('dtype') === 'string') return { name, shape, dtype: 'text' };
  const dtype = readDType(weight.get('dtype'), part);
  const quantization = weight.get('quantization');
  return { name, shape, dtype, stored: isObject(quantization) ? readStored(quantization, dtype, part) : { dtype } };
}

function readDType(value: JsonValue | undefined, what: string): DType {
  const dtype = typeof value === 'string' ? DTYPE_OF.get(value) : undefined;
  if (dtype !== undefined) return dtype;
  throw new MbertError('UNSUPPORTED', `${what}: weights of type ${jsonText(value ?? null)}`);
}

function readStored(quantization: JsonObject, dtype: DType, what: string): Stored {
  const stored = readDType(quantization.get('dtype'), `${what}: quantization`);
  if (stored === 'f16' && dtype === 'f32') return { dtype: stored };
  const scale = quantization.get('scale');
  const min = quantization.get('min');
  const fits = (stored === 'u8' || stored === 'u16') && (dtype === 'f32' || dtype === 'i32');
  if (!fits || typeof scale !== 'number' || typeof min !== 'number') {
    throw malformed(
      what,
      `cannot be ${dtype} from ${stored} with scale ${jsonText(scale ?? null)} and min ${jsonText(min ?? null)}`,
    );
  }
  return { dtype: stored, scale, min };
}

/**
 * Finds the tensors of a group, by name, texts left out; they read their part of `shards`, which are open and in the
 * order of its paths, when they are asked. Throws MALFORMED where the shards hold fewer or more bytes than the weights take.
 */
export function readTfjsWeights(group: WeightGroup, shards: readonly ModelFile[], what: string): Map<string, Tensor> {
  const held = shards.reduce((total, shard) => total + shard.size, 0);
  const tensors = new Map<string, Tensor>();
  let offset = 0;
  for (const weight of group.weights) {
    const length =
      weight.dtype === 'text'
        ? textsLength(sizeOf(weight.shape), shards, { offset, held })
        : byteLength(weight.stored.dtype, weight.shape);
    if (offset + length > held) {
      throw malformed(what, `${weight.name}: ends at byte ${offset + length}, the weight files hold ${held}`);
    }
    if (tensors.has(weight.name)) throw malformed(what, `${weight.name}: is listed twice`);
    if (weight.dtype !== 'text') tensors.set(weight.name, readTensor(weight, shards, offset, length));
    offset += length;
  }
  if (offset !== held) throw malformed(what, `the weight files hold ${held} bytes, the weights take ${offset}`);
  return tensors;
}

/** Counts the bytes of texts, of which each lies behind its length in 32 bits; more than `held` where they end beyond. */
function textsLength(
  count: number,
  shards: readonly ModelFile[],
  { offset, held }: { readonly offset: number; readonly held: number },
): number {
  let length = 0;
  for (let i = 0; i < count && offset + length + 4 <= held; i++) {
    const bytes = readAcross(shards, offset + length, 4);
    length += 4 + new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
    if (i === count - 1) return length;
  }
  return count === 0 ? 0 : held + 1;
}

function readTensor(
  { shape, dtype, stored }: NumberWeight,
  shards: readonly ModelFile[],
  offset: number,
  length: number,
): Tensor {
  const bytes = () => readAcross(shards, offset, length);
  if (stored.scale === undefined) return { dtype: stored.dtype, shape, fresh: true, bytes };
  const { scale, min } = stored;
  const codes: Tensor = { dtype: stored.dtype, shape, bytes };
  return computedTensor(dtype, shape, () => {
    const source = arrayOf(codes as Tensor & { dtype: 'u8' | 'u16' });
    const values = dtype === 'i32' ? new Int32Array(source.length) : new Float32Array(source.length);
    for (let i = 0; i < values.length; i++) {
      const value = (source[i] as number) * scale + min;
      values[i] = dtype === 'i32' ? Math.round(value) : value;
    }
    return values;
  });
}

/** Bytes of several files, read as if these were one. */
function readAcross(files: readonly ModelFile[], offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let start = 0;
  let done = 0;
  for (const file of files) {
    const from = offset + done - start;
    const count = Math.min(length - done, file.size - from);
    if (count > 0 && from >= 0) {
      if (count === length) return file.read(from, count);
      bytes.set(file.read(from, count), done);
      done += count;
    }
    start += file.size;
  }
  return bytes;
}

function array(value: JsonValue | undefined, what: string): readonly JsonValue[] {
  return Array.isArray(value) ? value : fail(what, `is ${jsonText(value ?? null)}, not a list`);
}

function objects(value: JsonValue | undefined, what: string): JsonObject[] {
  return array(value, what).map((item) =>
    isObject(item) ? item : fail(what, `holds ${jsonText(item)}, not an object`),
  );
}

function text(value: JsonValue | undefined, what: string): string {
  return typeof value === 'string' ? value : fail(what, `is ${jsonText(value ?? null)}, not text`);
}

function integer(value: JsonValue | undefined, what: string): number {
  const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
  return Number.isSafeInteger(number)
    ? (number as number)
    : fail(what, `is ${jsonText(value ?? null)}, not an integer`);
}

function decodeBase64(value: JsonValue, what: string): string {
  return Buffer.from(text(value, what), 'base64').toString('utf8');
}

function fail(what: string, problem: string): never {
  throw malformed(what, problem);
}
