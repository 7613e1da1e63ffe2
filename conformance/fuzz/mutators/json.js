// JSON: values of other types and sizes, keys that are gone, doubled or renamed, and text that is no JSON any more.
import { mutateBytes } from './bytes.js';

const NUMBERS = [-1, 0, 1, 2, 3, 0.5, -0.5, 7, 64, 65, 1e9, 2 ** 31, 2 ** 32 + 1, 2 ** 53, 1e308, -1e308];

/**
 * @param {Buffer} good @param {import('../random.js').Random} random
 */
export function mutateJson(good, random) {
  if (random.chance(0.08)) return mutateBytes(good, random);
  /** @type {{ root: unknown }} */
  const box = { root: JSON.parse(good.toString('utf8')) };
  for (let edits = 1 + random.below(3); edits > 0; edits--) editJson(box, random);
  let text = JSON.stringify(box.root) ?? '';
  if (random.chance(0.08)) text = doubledKey(text, random);
  if (random.chance(0.02)) text = text.replace(/:/, `:${'['.repeat(random.pick([1000, 100_000]))}`);
  if (random.chance(0.04))
    text = text.replace(/-?\d+(\.\d+)?/, random.pick(['NaN', '1e999', '-0', '01', '0x10', '9'.repeat(400)]));
  return Buffer.from(text, 'utf8');
}

/**
 * Changes one place of the value in `box.root`.
 * @param {{ root: unknown }} box @param {import('../random.js').Random} random
 */
export function editJson(box, random) {
  const { holder, key } = placeIn(box, random);
  const value = holder[key];
  const how = random.below(12);
  if (how === 0 && !Array.isArray(holder) && holder !== box) delete holder[key];
  else if (how === 1 && Array.isArray(holder)) holder.splice(Number(key), 1);
  else if (how === 2 && Array.isArray(holder)) holder.push(value, value);
  else if (how === 3 && holder !== box) {
    delete holder[key];
    holder[random.pick([random.text().slice(0, 40), key.toUpperCase(), `${key}s`])] = value;
  } else if (how === 4) holder[key] = [value];
  else if (how === 5) holder[key] = { [key]: value };
  else if (how === 6) {
    const other = placeIn(box, random);
    const copy = other.holder[other.key];
    holder[key] = copy === undefined ? null : JSON.parse(JSON.stringify(copy));
  } else if (how === 7 && random.chance(0.1)) holder[key] = nested(random.pick([50, 500, 1500]));
  else holder[key] = otherValue(value, random);
}

/** Any place, deep ones as likely as those in long lists. @param {{ root: unknown }} box @param {import('../random.js').Random} random */
function placeIn(box, random) {
  /** @type {any} */
  let holder = box;
  let key = 'root';
  for (;;) {
    const value = holder[key];
    if (typeof value !== 'object' || value === null || Object.keys(value).length === 0) break;
    if (holder !== box && random.chance(0.15)) break;
    holder = value;
    key = random.pick(Object.keys(value));
  }
  return { holder, key };
}

/** @param {unknown} value @param {import('../random.js').Random} random */
function otherValue(value, random) {
  if (random.chance(0.7)) {
    if (typeof value === 'number') return random.chance(0.5) ? random.pick(NUMBERS) : value + random.pick([1, -1, 64]);
    if (typeof value === 'boolean') return !value;
    if (typeof value === 'string') return random.chance(0.5) ? random.text() : value.slice(random.below(3)) + value;
  }
  return random.pick([null, true, '', [], {}, [[]], random.text(), random.pick(NUMBERS), [random.pick(NUMBERS)]]);
}

/** @param {number} depth */
function nested(depth) {
  /** @type {unknown} */
  let value = 1;
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
}

/** Writes a key a second time with a value of its own, which JSON.stringify cannot. @param {string} text @param {import('../random.js').Random} random */
function doubledKey(text, random) {
  const keys = [...text.matchAll(/"((?:[^"\\]|\\.){1,60})":/g)];
  if (keys.length === 0) return text;
  const { 0: key = '', index } = random.pick(keys);
  return `${text.slice(0, index)}${key}${random.pick(['null', '1', '[]', '{}', '"x"'])},${text.slice(index)}`;
}
