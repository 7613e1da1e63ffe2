import { decodeOnnx, type OnnxFile } from '../formats/onnx-decode.ts';
import type { ModelFile } from '../io/files.ts';
import { graphSource } from './graph-source.ts';
import { readSideFile } from './hugging-face.ts';
import type { Importer } from './importer.ts';
import { importOnnx } from './onnx/import.ts';

const NAME = 'model.onnx';
const EXTENSION = '.onnx';

/** An ONNX model of any exporter, with its external data beside it. */
export const onnx: Importer = {
  name: 'onnx',
  find(names) {
    if (names.includes(NAME)) return NAME;
    const others = names.filter((name) => name.endsWith(EXTENSION));
    return others.length === 1 ? others[0] : undefined;
  },
  // A damaged file is known by its name only; what is wrong with it is then said by the reader.
  detect: (head, file) => isOnnx(head) || file.path.endsWith(EXTENSION),
  read: async (file) =>
    graphSource(file, (opened) => {
      const model = decodeOnnx(file, openOnce(file, opened));
      return {
        graph: importOnnx(model, file.path),
        vocabulary: readSideFile(file, 'vocab.txt'),
        facts: factsOf(model),
      };
    }),
};

function factsOf({ irVersion, opsets, producerName, producerVersion, properties }: OnnxFile): Map<string, string> {
  const facts = new Map([
    ['IR version', String(irVersion)],
    ['producer', `${producerName} ${producerVersion}`.trim()],
  ]);
  for (const [domain, version] of opsets) facts.set(`opset ${domain}`.trim(), String(version));
  for (const [key, value] of properties) facts.set(key, value);
  return facts;
}

/** Files beside the model by name; each is opened at its first tensor. */
function openOnce(file: ModelFile, opened: ModelFile[]): (name: string) => ModelFile {
  const files = new Map<string, ModelFile>();
  return (name) => {
    const known = files.get(name);
    if (known) return known;
    const found = file.sibling(name);
    files.set(name, found);
    opened.push(found);
    return found;
  };
}

/** ModelProto's first field as a protobuf tag. Version 3 was ONNX's first release; a SavedModel begins alike, with its 1. */
const IR_VERSION_TAG = 0x08;
const MIN_IR_VERSION = 3;
const MAX_IR_VERSION = 32;

/** What follows: producer_name, producer_version, domain, doc_string, graph or opset_import, none of which is empty. */
const NEXT_TAGS: ReadonlySet<number> = new Set([0x12, 0x1a, 0x22, 0x32, 0x3a, 0x42]);

/** ONNX has no identifier, so the first fields must look like its own. */
function isOnnx(head: Uint8Array): boolean {
  const [tag = 0, version = 0, next = 0, length = 0] = head;
  const isVersion = tag === IR_VERSION_TAG && version >= MIN_IR_VERSION && version < MAX_IR_VERSION;
  return isVersion && NEXT_TAGS.has(next) && length > 0;
}
