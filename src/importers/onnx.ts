import { decodeOnnx, type OnnxFile } from '../formats/onnx-decode.ts';
import { type ModelFile, openBelow } from '../io/files.ts';
import type { Graph } from '../ir/graph.ts';
import { findFile, type Importer } from './importer.ts';
import { MODULES_FILE } from './module-chain.ts';
import { importOnnx } from './onnx/import.ts';
import { parseSideFile, readSideFile } from './side-files.ts';
import { graphSource } from './sources.ts';

const NAME = 'model.onnx';
const EXTENSION = '.onnx';

/** An ONNX model of any exporter, with its external data beside it. */
export const onnx: Importer = {
  name: 'onnx',
  find: (names) => findFile(names, [NAME], (name) => name.endsWith(EXTENSION)),
  // A damaged file is known by its name only; what is wrong with it is then said by the reader.
  detect: (head, file) => isOnnx(head) || file.path.endsWith(EXTENSION),
  read: async (file) =>
    graphSource(file, (opened) => {
      const model = decodeOnnx(file, openOnce(file, opened));
      const graph = importOnnx(model, file.path);
      const lowerCase = LOWER_CASE.get(model.properties.get('mbert.lower_case') ?? '');
      return {
        graph,
        tokenizer: lowerCase === undefined ? {} : { lowerCase },
        facts: factsOf(model),
        notes: unpooledNotes(graph, file.path),
      };
    }),
};

/** Values of the property by which mbert's own files say whether texts are lower-cased. */
const LOWER_CASE: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
]);

/** Tells of modules behind the encoder that a graph does not have. */
function unpooledNotes(graph: Graph, path: string): readonly string[] {
  const file = readSideFile(path, MODULES_FILE);
  const isPooled = graph.outputs.some(({ name }) => name === 'sentence_embedding');
  if (file === undefined || isPooled) return [];
  const modules = parseSideFile(file);
  if (!Array.isArray(modules) || modules.length < 2) return [];
  return [
    `${file.what}: its modules are not in the graph: the file gives vectors of tokens, the checkpoint gives embeddings`,
  ];
}

function factsOf({ irVersion, opsets, producerName, producerVersion, properties }: OnnxFile): Map<string, string> {
  const facts = new Map([
    ['IR version', String(irVersion)],
    ['producer', `${producerName} ${producerVersion}`.trim()],
  ]);
  for (const [domain, version] of opsets) facts.set(`opset ${domain}`.trim(), String(version));
  for (const [key, value] of properties) facts.set(key, value);
  return facts;
}

/** Opens files beside the model by name, each at its first tensor. */
function openOnce(file: ModelFile, opened: ModelFile[]): (name: string) => ModelFile {
  const files = new Map<string, ModelFile>();
  return (name) => {
    const known = files.get(name);
    if (known) return known;
    const external = openBelow(file, name);
    files.set(name, external);
    opened.push(external);
    return external;
  };
}

/** Tag of ModelProto's first field. Version 3 was ONNX's first release; a SavedModel begins alike, with its 1. */
const IR_VERSION_TAG = 0x08;
const MIN_IR_VERSION = 3;
const MAX_IR_VERSION = 32;

/**
 * Tags that follow: producer_name, producer_version, domain, doc_string, graph or opset_import, none of which is empty.
 */
const NEXT_TAGS: ReadonlySet<number> = new Set([0x12, 0x1a, 0x22, 0x32, 0x3a, 0x42]);

/** True where the first fields look like ONNX's, which has no identifier. */
function isOnnx(head: Uint8Array): boolean {
  const [tag = 0, version = 0, next = 0, length = 0] = head;
  const isVersion = tag === IR_VERSION_TAG && version >= MIN_IR_VERSION && version < MAX_IR_VERSION;
  return isVersion && NEXT_TAGS.has(next) && length > 0;
}
