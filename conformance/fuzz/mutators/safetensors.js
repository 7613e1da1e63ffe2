// safetensors: the header's JSON (offsets, shapes, types, names) and its length, over bytes that stay as they are.
import { mutateBytes } from './bytes.js';
import { editJson, mutateJson } from './json.js';

const TYPES = ['F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'I16', 'I8', 'U8', 'BOOL', 'F8_E4M3', 'C64', 'f32', 'U64'];

/** @param {Buffer} good @param {import('../random.js').Random} random */
export function mutateSafetensors(good, random) {
  if (random.chance(0.05)) return mutateBytes(good, random);
  const end = 8 + Number(good.readBigUInt64LE(0));
  const header = random.chance(0.4) ? mutateJson(good.subarray(8, end), random) : edited(good.subarray(8, end), random);
  const length = random.chance(0.06) ? random.integer(BigInt(header.length), 64) : BigInt(header.length);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length);
  return Buffer.concat([start, header, good.subarray(end)]);
}

/** Changes what stands of one or two tensors, so that the others stay right. @param {Buffer} header @param {import('../random.js').Random} random */
function edited(header, random) {
  const all = JSON.parse(header.toString('utf8'));
  const names = Object.keys(all).filter((name) => name !== '__metadata__');
  for (let edits = 1 + random.below(2); edits > 0; edits--) {
    const name = random.pick(names);
    const own = all[name];
    if (own === undefined) continue;
    const how = random.below(9);
    if (how === 0) own.dtype = random.pick(TYPES);
    else if (how === 1) own.shape.reverse();
    else if (how === 2) own.shape = [1, ...own.shape];
    else if (how === 3) own.shape = own.shape.map(() => Number(random.integer(64n, 64)));
    else if (how === 4) own.data_offsets = all[random.pick(names)]?.data_offsets;
    else if (how === 5)
      own.data_offsets = own.data_offsets.map((/** @type {number} */ at) => at + random.pick([-4, -1, 0, 1, 4]));
    else if (how === 6) {
      delete all[name];
      all[random.pick([random.text().slice(0, 80), `${name}.x`, `module.${name}`])] = own;
    } else if (how === 7) all[name] = all[random.pick(names)] ?? own;
    else editJson({ root: own }, random);
  }
  return Buffer.from(JSON.stringify(all));
}
