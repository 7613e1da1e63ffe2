import { basename } from 'node:path';
import { findFile, type Importer } from './importer.ts';

/** Files that go with a SavedModel. */
const OTHERS: ReadonlySet<string> = new Set(['fingerprint.pb', 'keras_metadata.pb', 'saved_model.pb']);

/** A frozen GraphDef: one .pb with the weights in it. */
export const graphdef: Importer = {
  name: 'graphdef',
  find: (names) => findFile(names, [], (name) => name.endsWith('.pb') && !OTHERS.has(name)),
  detect: (head, file) => beginsWithNode(head) || (file.path.endsWith('.pb') && !OTHERS.has(basename(file.path))),
  read: async (file) => (await import('./tensorflow/read-graphdef.ts')).readFrozenGraph(file),
};

/** Start of a graph: its field 1, a node, and in that field 1, its name, before field 2, its op. */
const FIRST_NODE = /^\n[\u0080-\u00ff]{0,4}.\n(.)/s;

function beginsWithNode(head: Uint8Array): boolean {
  const text = Buffer.from(head).toString('latin1');
  const start = FIRST_NODE.exec(text);
  if (start === null) return false;
  const nameLength = (start[1] as string).charCodeAt(0);
  const rest = text.slice(start[0].length + nameLength);
  const opLength = rest.charCodeAt(1);
  return (
    nameLength < 128 && rest[0] === '\u0012' && opLength < 128 && /^[A-Za-z_]\w*$/.test(rest.slice(2, 2 + opLength))
  );
}
