import { findFile, type Importer } from './importer.ts';

const NAME = 'model.onnx';
const EXTENSION = '.onnx';

/** An ONNX model of any exporter, with its external data beside it. */
export const onnx: Importer = {
  name: 'onnx',
  find: (names) => findFile(names, [NAME], (name) => name.endsWith(EXTENSION)),
  // A damaged file is known by its name only; what is wrong with it is then said by the reader.
  detect: (head, file) => isOnnx(head) || file.path.endsWith(EXTENSION),
  read: async (file) => (await import('./onnx/read.ts')).readOnnx(file),
};

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
