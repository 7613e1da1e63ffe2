// Text: lines, fields and characters that are gone, doubled, moved or odd.
import { mutateBytes } from './bytes.js';

const PIECES = [
  '"',
  '""',
  ',',
  '\t',
  '\r\n',
  '\r',
  '\n',
  '\ufeff',
  '\u0000',
  '\u001b[2J',
  '{',
  '}',
  '[',
  'null',
  '-1',
  '\ud83d',
  '\u2028',
  '##',
  '[UNK]',
  ' ',
];

/** @param {Buffer} good @param {import('../random.js').Random} random */
export function mutateText(good, random) {
  if (random.chance(0.1)) return mutateBytes(good, random);
  const lines = good.toString('utf8').split('\n');
  for (let edits = 1 + random.below(3); edits > 0; edits--) {
    const at = random.below(lines.length);
    const line = lines[at] ?? '';
    const how = random.below(8);
    if (how === 0) lines.splice(at, 1);
    else if (how === 1) lines.splice(at, 0, ...Array(random.pick([1, 3, 2000])).fill(line));
    else if (how === 2) lines[at] = random.text();
    else if (how === 3) lines.splice(at, 0, random.pick(['', ' ', random.text()]));
    else if (how === 4) lines[at] = random.pick(lines);
    else {
      const place = random.below(line.length + 1);
      lines[at] = line.slice(0, place) + random.pick(PIECES) + line.slice(place + random.below(3));
    }
  }
  const text = lines.join('\n');
  return random.chance(0.03) ? Buffer.from(text, 'utf16le') : Buffer.from(text);
}
