// Bytes of no known structure: what every other mutator does now and then as well.

/**
 * Replaces, inserts, removes, repeats or cuts at one to four places.
 * @param {Buffer} good @param {import('../random.js').Random} random
 */
export function mutateBytes(good, random) {
  let bytes = Buffer.from(good);
  for (let edits = 1 + random.below(4); edits > 0 && bytes.length > 0; edits--) bytes = edited(bytes, random);
  return bytes;
}

/** @param {Buffer} bytes @param {import('../random.js').Random} random */
function edited(bytes, random) {
  const at = random.below(bytes.length);
  const end = Math.min(bytes.length, at + 1 + random.below(16));
  const how = random.below(20);
  if (how === 0) return bytes.subarray(0, at);
  if (how < 3) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
  if (how < 5) return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
  if (how < 12) bytes[at] = Number(random.integer(BigInt(bytes[at] ?? 0), 8));
  else writeInteger(bytes, at, random.pick([2, 4, 8]), random);
  return bytes;
}

/**
 * Writes another little-endian number of `size` bytes where there is room for it.
 * @param {Buffer} bytes @param {number} at @param {number} size @param {import('../random.js').Random} random
 */
export function writeInteger(bytes, at, size, random) {
  if (at + size > bytes.length) return;
  let old = 0n;
  for (let i = size - 1; i >= 0; i--) old = (old << 8n) | BigInt(bytes[at + i] ?? 0);
  let value = random.integer(old, size * 8);
  for (let i = 0; i < size; i++, value >>= 8n) bytes[at + i] = Number(value & 255n);
}
