// Protobuf without its schema: a field that reads as a message is taken for one, and the tree is changed and written again.
import { mutateBytes } from './bytes.js';

/** @typedef {{ field: number, wire: number, value: bigint, bytes: Buffer, children: Field[] | undefined, lie?: bigint, wrong?: number }} Field */

/** Deeper than any message of ONNX or TensorFlow. */
const MAX_DEPTH = 14;
/** Weights are rarely read as messages, and what would come of it is no structure. */
const MAX_MESSAGE_BYTES = 4_000_000;

/** @param {Buffer} good @param {import('../random.js').Random} random */
export function mutateProtobuf(good, random) {
  if (random.chance(0.04)) return mutateBytes(good, random);
  const root = fieldsOf(good, 0);
  if (root === undefined || root.length === 0) return mutateBytes(good, random);
  for (let edits = 1 + random.below(3); edits > 0; edits--) edit(root, random);
  return written(root);
}

/** Fields of a message; undefined where the bytes are none. @param {Buffer} bytes @param {number} depth @returns {Field[] | undefined} */
function fieldsOf(bytes, depth) {
  const fields = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = varintAt(bytes, at);
    if (tag === undefined || tag.value >> 3n === 0n || tag.value > 0xffff_ffffn) return undefined;
    const wire = Number(tag.value & 7n);
    /** @type {Field} */
    const own = { field: Number(tag.value >> 3n), wire, value: 0n, bytes: Buffer.alloc(0), children: undefined };
    at = tag.end;
    if (wire === 0) {
      const number = varintAt(bytes, at);
      if (number === undefined) return undefined;
      own.value = number.value;
      at = number.end;
    } else {
      const length = wire === 2 ? varintAt(bytes, at) : { value: wire === 1 ? 8n : wire === 5 ? 4n : -1n, end: at };
      if (length === undefined || length.value < 0n || length.value > BigInt(bytes.length - length.end))
        return undefined;
      at = length.end + Number(length.value);
      own.bytes = bytes.subarray(length.end, at);
      if (wire === 2 && depth < MAX_DEPTH && own.bytes.length > 1 && own.bytes.length < MAX_MESSAGE_BYTES)
        own.children = fieldsOf(own.bytes, depth + 1);
    }
    fields.push(own);
  }
  return fields;
}

/** @param {Buffer} bytes @param {number} at */
export function varintAt(bytes, at) {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = bytes[at++];
    if (byte === undefined) return undefined;
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return { value, end: at };
  }
  return undefined;
}

/** @param {bigint} value */
export function varint(value) {
  const bytes = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

/** @param {readonly Field[]} fields @returns {Buffer} */
function written(fields) {
  return Buffer.concat(
    fields.flatMap((own) => {
      const tag = varint((BigInt(own.field) << 3n) | BigInt(own.wrong ?? own.wire));
      if (own.wire === 0) return [tag, varint(own.value)];
      const bytes = own.children ? written(own.children) : own.bytes;
      return own.wire === 2 ? [tag, varint(own.lie ?? BigInt(bytes.length)), bytes] : [tag, bytes];
    }),
  );
}

/** Any message of the tree, deep ones as likely as those in long lists. @param {Field[]} root @param {import('../random.js').Random} random */
function messageIn(root, random) {
  let message = root;
  for (;;) {
    const below = message.flatMap(({ children }) => (children && children.length > 0 ? [children] : []));
    if (below.length === 0 || (message !== root && random.chance(0.25))) return message;
    // Of a file's few messages the graph is the largest, and rarely what a fair choice would take.
    const [one, other] = [random.pick(below), random.pick(below)];
    message = message === root && other.length > one.length ? other : one;
  }
}

/** @param {Field[]} root @param {import('../random.js').Random} random */
function edit(root, random) {
  const message = messageIn(root, random);
  const at = random.below(message.length);
  const own = message[at];
  if (own === undefined) return;
  const how = random.below(20);
  if (how === 0) message.splice(at, 1);
  else if (how === 1) message.splice(at, 0, structuredCopy(own));
  else if (how === 2)
    for (let i = random.pick([10, 1000]); i > 0; i--) message.push(structuredCopy(own, own.bytes.length > 200));
  else if (how === 3)
    own.field = random.pick([own.field + 1, Math.max(1, own.field - 1), 1 + random.below(30), 2 ** 29 - 1]);
  else if (how === 4) own.wrong = random.below(8);
  else if (how === 5) own.lie = random.integer(BigInt(own.bytes.length), 64);
  else if (how === 6) message.reverse();
  else if (how === 7) {
    const other = messageIn(root, random);
    message.splice(at, 1, ...other.slice(0, 1).map((field) => structuredCopy(field)));
  } else if (how === 8) own.children = [structuredCopy(own)];
  else if (how === 9) nest(own, random.pick([20, 200, 500]));
  else if (how === 10 && own.children) own.children = [];
  else editValue(own, root, random);
}

/** @param {Field} own @param {Field[]} root @param {import('../random.js').Random} random */
function editValue(own, root, random) {
  if (own.wire === 0) {
    own.value = random.integer(own.value, 64);
    return;
  }
  if (own.children && random.chance(0.8)) return edit(own.children, random);
  own.children = undefined;
  if (own.wire !== 2) own.bytes = mutateBytes(own.bytes, random).subarray(0, own.bytes.length);
  else if (random.chance(0.4)) own.bytes = otherText(root, random) ?? own.bytes;
  else if (random.chance(0.3)) own.bytes = Buffer.from(random.text());
  else if (random.chance(0.35)) own.bytes = Buffer.concat([1, 2, 3].map(() => varint(random.integer(8n, 64))));
  else own.bytes = mutateBytes(own.bytes, random);
}

/** The text of another place: names that are there twice, or of what reads itself. @param {Field[]} root @param {import('../random.js').Random} random */
function otherText(root, random) {
  for (let tries = 0; tries < 8; tries++) {
    const texts = messageIn(root, random).filter(({ wire, bytes }) => wire === 2 && bytes.length < 200);
    if (texts.length > 0) return random.pick(texts).bytes;
  }
  return undefined;
}

/** @param {Field} field @param {boolean} isEmpty @returns {Field} */
function structuredCopy(field, isEmpty = false) {
  if (isEmpty) return { ...field, bytes: Buffer.alloc(0), children: undefined };
  return field.children ? { ...field, children: field.children.map((child) => structuredCopy(child)) } : { ...field };
}

/** Puts a message into itself, level by level. @param {Field} field @param {number} depth */
function nest(field, depth) {
  for (let i = 0; i < depth; i++) field.children = [{ ...field, lie: undefined }];
}
