// Encodes samples from stdin, [[text, second text or null, most tokens or null], ...], with the tokenizer of a folder:
//   node conformance/tokenizers/encode.mjs FOLDER < samples.json > rows.json
import { readFileSync } from 'node:fs';
import { openTokenizer } from '../../dist/index.js';

const tokenizer = openTokenizer(process.argv[2] ?? '.');
const samples = JSON.parse(readFileSync(0, 'utf8'));
const rows = samples.map(([text, second, length]) => {
  const { inputIds, tokenTypeIds } = tokenizer.encode(second === null ? [text] : [text, second], length ?? undefined);
  return [inputIds, tokenTypeIds];
});
process.stdout.write(JSON.stringify(rows));
