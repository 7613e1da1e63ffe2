import { listNames, malformed } from '../../errors.ts';
import { bufferContent, decodeTflite } from '../../formats/tflite/decode.ts';
import type { Model, SignatureDef, SubGraph } from '../../formats/tflite/generated/model.ts';
import type { ModelFile } from '../../io/files.ts';
import type { GraphSource } from '../importer.ts';
import { graphSource } from '../sources.ts';
import { type Port, SubgraphReader } from './graph.ts';
import { readTextMetadata, type TextMetadata } from './metadata.ts';

/** Version of the schema, the only one there is. */
const VERSION = 3;

/** Reads a TFLite model; what is wrong with it throws MALFORMED or UNSUPPORTED. */
export function readTflite(file: ModelFile): GraphSource {
  return graphSource(file, () => readModel(file));
}

/**
 * Reads the graph of a TFLite model with what its metadata holds. Quantization is kept as types. Weights are read from
 * `file` when asked for.
 */
function readModel(file: ModelFile): TextMetadata & Pick<GraphSource, 'graph' | 'facts' | 'notes' | 'roundsFloats'> {
  const model = decodeTflite(file);
  if (model.version !== VERSION) throw malformed(file.path, `is of version ${model.version}, not ${VERSION}`);
  const signature = model.signatureDefs?.[0];
  const subgraph = model.subgraphs?.[signature?.subgraphIndex ?? 0];
  if (subgraph === undefined) throw malformed(file.path, 'has no subgraph');
  const { inputs, outputs } = portsOf(file, subgraph, signature);
  const reader = new SubgraphReader(file, model, subgraph);
  for (const input of inputs) reader.input(input);
  for (const [position, operator] of (subgraph.operators ?? []).entries()) reader.operator(operator, position);
  for (const output of outputs) reader.output(output);
  reader.graph.prune();
  return {
    graph: reader.graph,
    facts: factsOf(file, model),
    notes: signatureNotes(file, model),
    roundsFloats: true,
    ...readTextMetadata(file, model),
  };
}

/** Longest entry that is read as a text; what mbert writes of a model with ten thousand classes is shorter. */
const MAX_FACT_BYTES = 2 ** 20;
/** Texts have no control characters but white space, which tells them from the metadata's own FlatBuffer. */
const TEXT = /^[\P{Cc}\t\n\r]*$/u;
/** Entry that holds mbert's properties as a JSON object. */
const PROPERTIES = 'mbert';

function factsOf(file: ModelFile, { description, metadata, buffers, signatureDefs }: Model): Map<string, string> {
  const facts = new Map(description === undefined ? [] : [['description', description]]);
  const signature = signatureDefs?.[0]?.signatureKey;
  if (signature !== undefined) facts.set('signature', signature);
  for (const { name, buffer } of metadata ?? []) {
    const content = bufferContent(file, buffers?.[buffer], `metadata ${name}`);
    if (name === undefined || content === undefined || content.byteLength > MAX_FACT_BYTES) continue;
    const text = Buffer.from(content.bytes()).toString('utf8').replace(/\0+$/, '');
    if (!TEXT.test(text) || text.includes('\ufffd')) continue;
    const properties = name === PROPERTIES ? propertiesOf(text) : undefined;
    for (const [key, value] of properties ?? [[name, text]]) facts.set(key, value);
  }
  return facts;
}

/** The properties that a JSON object of texts holds, as ONNX has them; undefined for anything else. */
function propertiesOf(text: string): [string, string][] | undefined {
  try {
    const entries = Object.entries(JSON.parse(text) as object);
    return entries.every(([, value]) => typeof value === 'string') ? entries : undefined;
  } catch {
    return undefined;
  }
}

/** Tells of signatures that are not read: a file may hold a model for training beside the one for use. */
function signatureNotes({ path }: ModelFile, { signatureDefs }: Model): readonly string[] {
  const [read, ...others] = (signatureDefs ?? []).map(({ signatureKey }) => signatureKey ?? 'one without a name');
  return others.length === 0 ? [] : [`${path}: signatures: ${read} is read, ${listNames(others)} not`];
}

/** Ports in the subgraph's order, by which runtimes bind them, under the signature's names, else the tensors'. */
function portsOf(file: ModelFile, subgraph: SubGraph, signature: SignatureDef | undefined) {
  const named = (indices: readonly number[] | undefined, maps: SignatureDef['inputs'], kind: string): Port[] => {
    const names = new Map((maps ?? []).map(({ tensorIndex, name }) => [tensorIndex, name]));
    const ports = (indices ?? []).map((index, i) => ({
      name: names.get(index) || subgraph.tensors?.[index]?.name || `${kind}_${i}`,
      index,
    }));
    if (new Set(ports.map(({ name }) => name)).size < ports.length)
      throw malformed(file.path, `two ${kind}s have one name`);
    return ports;
  };
  const inputs = named(subgraph.inputs, signature?.inputs, 'input');
  const outputs = named(subgraph.outputs, signature?.outputs, 'output');
  if (outputs.length === 0) throw malformed(file.path, 'has no outputs');
  return { inputs, outputs };
}
