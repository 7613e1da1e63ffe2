import { decodeOnnx, type OnnxFile } from '../../formats/onnx-decode.ts';
import { type ModelFile, openBelow } from '../../io/files.ts';
import type { Graph } from '../../ir/graph.ts';
import type { GraphSource } from '../importer.ts';
import { MODULES_FILE } from '../module-chain.ts';
import { parseSideFile, readSideFile } from '../side-files.ts';
import { graphSource } from '../sources.ts';
import { importOnnx } from './import.ts';

/** Reads the graph of an ONNX model with what its properties say. Weights are read from the files when asked for. */
export function readOnnx(file: ModelFile): GraphSource {
  return graphSource(file, (opened) => {
    const model = decodeOnnx(file, openOnce(file, opened));
    const notes: string[] = [];
    const graph = importOnnx(model, file.path, (note) => notes.push(note));
    const lowerCase = LOWER_CASE.get(model.properties.get('mbert.lower_case') ?? '');
    return {
      graph,
      tokenizer: lowerCase === undefined ? {} : { lowerCase },
      facts: factsOf(model),
      notes: [...notes, ...unpooledNotes(graph, file.path)],
    };
  });
}

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
