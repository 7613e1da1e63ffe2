import { MbertError } from '../errors.ts';
import { escapeControls } from '../printable.ts';
import { fingerprintedArray, fingerprintedTensor, fingerprintOf } from './fingerprint.ts';
import { type Constant, Graph, type Node } from './graph.ts';
import type { Attr, Attrs } from './op.ts';
import { type OpName, opDef, ops } from './ops/index.ts';
import { type Dim, isStatic, type Shape, shapeText, sizeOf } from './shape.ts';
import {
  arrayOf,
  byteLength,
  convertTensor,
  DTYPES,
  type DType,
  type Quant,
  readF32,
  readIntegers,
  type Tensor,
  type TensorType,
  tensorOf,
} from './tensor.ts';

/** Most elements of a constant that is printed by value; larger ones are printed by the hash of their bytes. */
const MAX_PRINTED_ELEMENTS = 4;

/** A type as graph text prints it: `f32[batch, 384]`, with quantization `i8[128] q(0.0235, -128)`. */
export function typeText({ dtype, shape, quant }: TensorType): string {
  return `${dtype}${shapeText(shape)}${quant ? ` ${quantText(quant)}` : ''}`;
}

function quantText(quant: Quant): string {
  if (quant.per === 'tensor') return `q(${quant.scale}, ${quant.zeroPoint})`;
  const { axis, scales, zeroPoints } = quant;
  const hashes = zeroPoints?.some((zeroPoint) => zeroPoint !== 0) ? [scales, zeroPoints] : [scales];
  const along = quant.per === 'channel' ? `axis ${axis}` : `axis ${axis} by ${quant.size}`;
  return `q(${[along, ...hashes.map((array) => `#${fingerprintOf(array)}`)].join(', ')})`;
}

/** A constant as graph text prints it: `f32[512, 384] #9c1f02ab`, or with the values themselves where they are few. */
function constantText(node: Constant): string {
  const { tensor } = node;
  const few = sizeOf(tensor.shape) <= MAX_PRINTED_ELEMENTS;
  return `${typeText(node.type)} ${few ? `{${printedValues(tensor).join(', ')}}` : `#${fingerprintOf(tensor)}`}`;
}

function printedValues(tensor: Tensor): string[] {
  switch (tensor.dtype) {
    case 'i64':
      return Array.from(arrayOf({ ...tensor, dtype: 'i64' }), String);
    case 'u64':
      return Array.from(arrayOf({ ...tensor, dtype: 'u64' }), String);
    case 'f64':
      return Array.from(arrayOf({ ...tensor, dtype: 'f64' }), String);
    case 'f32':
    case 'f16':
    case 'bf16':
      return Array.from(readF32(tensor), printedFloat);
    default:
      return readIntegers(tensor).map(String);
  }
}

/** The shortest decimal that reads back as the same f32. */
function printedFloat(value: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(value);
}

function attrText(value: Attr): string {
  if (Array.isArray(value)) return `[${value.join(', ')}]`;
  return typeof value === 'string' ? stringText(value) : String(value);
}

/** A string as graph text prints it: quoted where it would read as something else. */
function stringText(value: string): string {
  return PLAIN_NAME.test(value) && value !== 'true' && value !== 'false' ? value : quoted(value);
}

/** A text in quotes, as JSON reads it, without anything in it that a terminal obeys. */
function quoted(text: string): string {
  return escapeControls(JSON.stringify(text));
}

function argumentText(node: Node): string {
  return node.op === 'constant' ? `${nameText(node.name)} ${constantText(node)}` : nameText(node.name);
}

/** The graph's canonical text: what `inspect` prints, goldens hold and teams commit as a lock file. */
export function graphText(graph: Graph): string {
  const inputs = graph.inputs.map((input) => `${nameText(input.name)}: ${typeText(input.type)}`);
  const lines = [`graph ${nameText(graph.name)} (${inputs.join(', ')})`];
  for (const node of graph.nodes()) {
    if (node.op === 'input' || node.op === 'constant') continue;
    const defaults = opDef(node.op).attrs;
    const attrs = Object.entries(node.attrs as Attrs).filter(
      ([key, value]) => attrText(value) !== attrText(defaults[key] as Attr),
    );
    const shown =
      attrs.length === 0 ? '' : ` {${attrs.map(([key, value]) => `${keyText(key)}: ${attrText(value)}`).join(', ')}}`;
    lines.push(
      `  ${nameText(node.name)} = ${node.op}(${node.inputs.map(argumentText).join(', ')})${shown}  ${typeText(node.type)}`,
    );
  }
  const outputs = graph.outputs.map(({ name, node }) => `${nameText(name)}: ${argumentText(node)}`);
  lines.push(`return ${outputs.join(', ')}`);
  return lines.join('\n');
}

/**
 * One token: `q(`, a name, a quoted name, a number, a `#hash`, or a mark. Names may hold dots, slashes and colons
 * inside.
 */
const TOKEN =
  /\s*(?:(q\()|([A-Za-z_/][\w./:*+-]*[\w*-]|[A-Za-z_])|("[^"\\]*(?:\\.[^"\\]*)*")|(\d+\*[\w*]+|[-+]?(?:\d[\d.]*(?:e[-+]?\d+)?|Infinity))|(#[\w-]+)|([()[\]{},:=?]))/y;

/** Comments `// …` on lines of their own; names that begin so are quoted. */
const COMMENT_LINES = /^[ \t]*\/\/(?:[ \t].*)?$/gm;

const PLAIN_NAME = /^(?:[A-Za-z_/][\w./:*+-]*[\w*-]|[A-Za-z_])$/;

/** A name as graph text prints it: quoted where it holds other characters or reads as something else. */
function nameText(name: string): string {
  return PLAIN_NAME.test(name) && !isDType(name) && name !== 'return' ? name : quoted(name);
}

/** The key of an attribute: other than a name, it may be a dtype's. */
function keyText(key: string): string {
  return PLAIN_NAME.test(key) ? key : quoted(key);
}

function isDType(token: string): token is DType {
  return Object.hasOwn(DTYPES, token);
}

/** Reads graph text token by token. */
class Scanner {
  readonly #text: string;
  #at = 0;
  /** Scales that may still be asked for. */
  scalesLeft = MAX_SCALES;

  constructor(text: string) {
    this.#text = text.replace(COMMENT_LINES, '');
  }

  peek(): string {
    const at = this.#at;
    const token = this.next();
    this.#at = at;
    return token;
  }

  /** The next token, or '' at the end. */
  next(): string {
    TOKEN.lastIndex = this.#at;
    const match = TOKEN.exec(this.#text);
    if (match === null) {
      if (this.#text.slice(this.#at).trim() === '') return '';
      this.fail(`unexpected "${this.#text.slice(this.#at).trim().slice(0, 20)}"`);
    }
    this.#at = TOKEN.lastIndex;
    return match.slice(1).find((part) => part !== undefined) as string;
  }

  accept(token: string): boolean {
    if (this.peek() !== token) return false;
    this.next();
    return true;
  }

  expect(token: string): void {
    const found = this.next();
    if (found !== token) this.fail(`expected "${token}", found "${found}"`);
  }

  /** Reads a name and takes it out of its quotes. */
  name(): string {
    const token = this.next();
    if (!token.startsWith('"')) return token;
    try {
      return JSON.parse(token) as string;
    } catch {
      this.fail(`${token} is no quoted name`);
    }
  }

  /** Reads a list, `open a, b, … close`. */
  list<T>(open: string, close: string, item: () => T): T[] {
    this.expect(open);
    return this.listUntil(close, item);
  }

  /** Reads what is left of a list, `a, b, … close`. */
  listUntil<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    while (!this.accept(close)) {
      if (items.length > 0) this.expect(',');
      items.push(item());
    }
    return items;
  }

  fail(problem: string): never {
    const line = this.#text.slice(0, this.#at).split('\n').length;
    throw new MbertError('MALFORMED', `graph text: line ${line}: ${problem}`);
  }
}

function parseDim(scanner: Scanner): Dim {
  const token = scanner.next();
  return /^\d+$/.test(token) ? Number(token) : token;
}

function parseType(scanner: Scanner, hashes: boolean): TensorType {
  const dtype = scanner.next();
  if (!isDType(dtype)) scanner.fail(`"${dtype}" is not a dtype`);
  const shape = scanner.list('[', ']', () => parseDim(scanner));
  if (!scanner.accept('q(')) return { dtype, shape };
  if (!scanner.accept('axis')) return { dtype, shape, quant: parseTensorQuant(scanner) };
  if (!hashes) scanner.fail('scales are known by their hash only: quantization must be per tensor here');
  return { dtype, shape, quant: parseHashedQuant(scanner, shape) };
}

function parseTensorQuant(scanner: Scanner): Quant {
  const [scale, zeroPoint, ...rest] = scanner.listUntil(')', () => Number(scanner.next()));
  if (!(scale !== undefined && scale > 0) || !Number.isInteger(zeroPoint) || rest.length > 0) {
    scanner.fail('quantization reads q(scale, zero point)');
  }
  return { per: 'tensor', scale, zeroPoint: zeroPoint as number };
}

/** Most scales that a text may ask memory for: 24 layers in blocks of 32 have 3 million, a table of a million rows 12 million. */
const MAX_SCALES = 2 ** 24;

/**
 * Reads quantization whose scales are given by hash: per channel `0, #9c1f02ab)`, per block and with zero points `0 by
 * 32, #9c1f02ab, #77ab3e10)`.
 */
function parseHashedQuant(scanner: Scanner, shape: Shape): Quant {
  const axis = Number(scanner.next());
  const size = scanner.accept('by') ? Number(scanner.next()) : undefined;
  scanner.expect(',');
  const [scales, zeros] = scanner.listUntil(')', () => scanner.next().replace(/^#/, ''));
  const length = shape[axis];
  if (typeof length !== 'number' || scales === undefined) scanner.fail('quantization reads q(axis 0, #scales)');
  const blocks = size === undefined ? length : (sizeOf(shape as number[]) / length) * Math.ceil(length / size);
  if (!(blocks <= scanner.scalesLeft)) scanner.fail(`its scales are over ${MAX_SCALES}, with those before`);
  scanner.scalesLeft -= blocks;
  const stored = {
    axis,
    scales: fingerprintedArray(new Float32Array(blocks).fill(Number.NaN), scales),
    ...(zeros !== undefined && { zeroPoints: fingerprintedArray(new Int32Array(blocks), zeros) }),
  };
  return size === undefined ? { per: 'channel', ...stored } : { per: 'block', size, ...stored };
}

/** Gives values for a constant that text knows by its hash only: the same hash gives the same values. */
export type ConstantSource = (
  name: string,
  type: TensorType & { readonly shape: readonly number[] },
  hash: string,
) => Tensor;

const unknownValues: ConstantSource = (_, { dtype, shape }, hash) => fingerprintedTensor(dtype, shape, hash.slice(1));

function parseConstant(scanner: Scanner, name: string, { dtype, shape }: TensorType, source: ConstantSource): Tensor {
  if (!isStatic(shape)) scanner.fail(`${name} is a constant, its shape must be fixed`);
  const sizes = shape;
  if (scanner.peek() !== '{') return source(name, { dtype, shape: sizes }, scanner.next());
  const values = scanner.list('{', '}', () => scanner.next());
  if (values.length !== sizeOf(sizes))
    scanner.fail(`${name} has ${values.length} values, its shape wants ${sizeOf(sizes)}`);
  const isNumber = /^[iu]/.test(dtype) ? /^[-+]?\d+$/ : /^[-+]?(?:[\d.]+(?:e[-+]?\d+)?|Infinity|NaN)$/;
  const odd = values.find((value) => !isNumber.test(value));
  if (odd !== undefined) scanner.fail(`${name}: "${odd}" is no ${dtype}`);
  return printedTensor(dtype, sizes, values);
}

function printedTensor(dtype: DType, shape: readonly number[], values: readonly string[]): Tensor {
  switch (dtype) {
    case 'i64':
      return tensorOf('i64', shape, BigInt64Array.from(values, BigInt));
    case 'u64':
      return tensorOf('u64', shape, BigUint64Array.from(values, BigInt));
    case 'bf16': {
      const words = new Uint32Array(Float32Array.from(values, Number).buffer);
      return tensorOf(
        'bf16',
        shape,
        Uint16Array.from(words, (word) => word >>> 16),
      );
    }
    default:
      return convertTensor(tensorOf('f64', shape, Float64Array.from(values, Number)), dtype);
  }
}

function parseAttr(scanner: Scanner): Attr {
  if (scanner.peek() === '[') return scanner.list('[', ']', () => parseDim(scanner));
  if (scanner.peek().startsWith('"')) return scanner.name();
  const token = scanner.next();
  if (token === 'true' || token === 'false') return token === 'true';
  return Number.isNaN(Number(token)) ? token : Number(token);
}

/** Refuses an attribute that is of another kind (list, boolean, scalar) than its default, which shape rules rely on. */
function checkAttr(scanner: Scanner, op: OpName, key: string, value: Attr): void {
  const defaultValue = opDef(op).attrs[key];
  if (defaultValue === undefined) {
    if (op !== 'foreign') scanner.fail(`${op} has no attribute ${key}`);
    return;
  }
  const kindOf = (attr: Attr) => (Array.isArray(attr) ? 'list' : typeof attr === 'boolean' ? 'boolean' : 'scalar');
  if (kindOf(value) !== kindOf(defaultValue)) scanner.fail(`${op}: ${key} takes a ${kindOf(defaultValue)}`);
}

/**
 * Reads what `graphText` prints. Constants printed by hash come from `source`, and quantization must then be per
 * tensor; without `source`, they and the scales per channel or block are known only by their fingerprints
 * (fingerprint.ts). Throws MALFORMED, with the line, for text that cannot be read, INVALID_GRAPH for ops whose inputs
 * do not fit.
 */
export function parseGraph(text: string, source?: ConstantSource): Graph {
  const typeOf = () => parseType(scanner, source === undefined);
  const scanner = new Scanner(text);
  scanner.expect('graph');
  const graph = new Graph(scanner.name());
  const nodesByName = new Map<string, Node>();
  scanner.list('(', ')', () => {
    const name = scanner.name();
    scanner.expect(':');
    nodesByName.set(name, graph.input(name, typeOf()));
  });
  const argument = (): Node => {
    const name = scanner.name();
    const follows = scanner.peek();
    const earlier = nodesByName.get(name);
    if (isDType(follows)) {
      const type = typeOf();
      const tensor = parseConstant(scanner, name, type, source ?? unknownValues);
      if (earlier) return earlier;
      const node = graph.constant(tensor, name, type.quant);
      nodesByName.set(name, node);
      return node;
    }
    return earlier ?? scanner.fail(`${name} is not defined above`);
  };
  while (scanner.peek() !== 'return') {
    const name = scanner.name();
    scanner.expect('=');
    const op = scanner.next();
    if (!Object.hasOwn(ops, op)) scanner.fail(`"${op}" is not an op`);
    const inputs = scanner.list('(', ')', argument);
    const attrs: Record<string, Attr> = {};
    if (scanner.peek() === '{') {
      scanner.list('{', '}', () => {
        const key = scanner.name();
        scanner.expect(':');
        attrs[key] = parseAttr(scanner);
        checkAttr(scanner, op as OpName, key, attrs[key]);
      });
    }
    const node = graph.add(op as OpName, inputs, attrs, name);
    nodesByName.set(name, node);
    const type = isDType(scanner.peek()) ? typeOf() : undefined;
    if (type?.quant) graph.setType(node, type);
  }
  scanner.expect('return');
  for (let more = true; more; more = scanner.accept(',')) {
    const name = scanner.name();
    scanner.expect(':');
    graph.output(name, argument());
  }
  return graph;
}

/** The bytes that all constants of a graph take, each counted once. */
export function constantBytes(graph: Graph): number {
  let total = 0;
  for (const node of graph.nodes())
    if (node.op === 'constant') total += byteLength(node.tensor.dtype, node.tensor.shape);
  return total;
}
