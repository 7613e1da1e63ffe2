import type { ModelFile } from '../files.ts';
import { decodeOnnx } from '../formats/onnx-decode.ts';
import type { GraphSource, Importer } from './importer.ts';
import { importOnnx } from './onnx/import.ts';

/** An ONNX model of any exporter, with its external data beside it. */
export const onnx: Omit<Importer, 'read'> & { read(file: ModelFile): Promise<GraphSource> } = {
  name: 'onnx',
  find(names) {
    if (names.includes('model.onnx')) return 'model.onnx';
    const others = names.filter((name) => name.endsWith('.onnx'));
    return others.length === 1 ? others[0] : undefined;
  },
  // A damaged file is known by its name only; what is wrong with it is then said by the reader.
  detect: (head, file) => isOnnx(head) || file.path.endsWith('.onnx'),
  async read(file) {
    const opened = new Map<string, ModelFile>();
    const close = () => {
      for (const each of [file, ...opened.values()]) each.close();
    };
    const external = (name: string) => {
      const found = opened.get(name) ?? file.sibling(name);
      opened.set(name, found);
      return found;
    };
    try {
      const graph = importOnnx(decodeOnnx(file, external), file.path);
      return { yields: 'graph', path: file.path, graph, close };
    } catch (cause) {
      close();
      throw cause;
    }
  },
};

/** ModelProto's fields as protobuf tags; writers begin with the version, nearly always followed by one of the others. */
const IR_VERSION_TAG = 0x08;
const MAX_IR_VERSION = 32;
/** producer_name, producer_version, domain, model_version, doc_string, graph, opset_import */
const NEXT_TAGS: ReadonlySet<number> = new Set([0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42]);
/** Version 3 was ONNX's first release; a SavedModel begins alike, with its version 1. */
const MIN_IR_VERSION = 3;

/** ONNX has no identifier, so the first fields must look like its own. */
function isOnnx(head: Uint8Array): boolean {
  const [tag = 0, version = 0, next = 0] = head;
  return tag === IR_VERSION_TAG && version >= MIN_IR_VERSION && version < MAX_IR_VERSION && NEXT_TAGS.has(next);
}
