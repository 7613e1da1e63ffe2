import { MbertError } from '../../errors.ts';
import { encodeFlatbuffer } from '../../formats/tflite/encode.ts';
import {
  type AssociatedFile,
  modelMetadataRoot,
  type TensorMetadata,
} from '../../formats/tflite/generated/metadata.ts';
import type { Draft } from '../../formats/tflite/table.ts';
import type { ZipEntry } from '../../formats/zip-stored.ts';
import { lookUp } from '../../io/look-up.ts';
import type { Graph } from '../../ir/graph.ts';

/** Facts that the file states beyond its graph. */
export interface TfliteMetadata {
  /** Vocabulary of WordPiece, one token a line: with it MediaPipe and Task Library take text. */
  readonly vocab?: Uint8Array;
  /** Names of the classes, as many as one output's last axis is long. */
  readonly labels?: readonly string[];
  readonly description?: string;
  /** Provenance, stored as JSON in the metadata entry `mbert`. */
  readonly properties?: { readonly [key: string]: string };
}

/** Names by which MediaPipe and Task Library find a BERT's inputs; they know no others. */
const INPUT_NAMES: { readonly [name: string]: string } = {
  input_ids: 'ids',
  attention_mask: 'mask',
  token_type_ids: 'segment_ids',
};

const VOCAB_FILE = 'vocab.txt';
const LABELS_FILE = 'labels.txt';

/** Oldest metadata schema that has all of this: BertTokenizerOptions came with 1.1.0. */
const MIN_PARSER_VERSION = '1.1.0';

/** Makes the buffer of TFLITE_METADATA and the files that it names. Throws MISMATCH where no output fits the labels. */
export function describeTensors(
  graph: Graph,
  { vocab, labels, description }: TfliteMetadata,
): { readonly bytes: Uint8Array; readonly files: readonly ZipEntry[] } {
  const content: Draft<TensorMetadata> = { content: { contentProperties: { kind: 'FeatureProperties', value: {} } } };
  const labelled = labels === undefined ? undefined : labelledOutput(graph, labels);
  const { bytes } = encodeFlatbuffer(modelMetadataRoot, {
    name: graph.name,
    ...(description !== undefined && { description }),
    minParserVersion: MIN_PARSER_VERSION,
    subgraphMetadata: [
      {
        inputTensorMetadata: graph.inputs.map(({ name }) => ({ ...content, name: lookUp(INPUT_NAMES, name) ?? name })),
        outputTensorMetadata: graph.outputs.map(({ name }) => ({
          ...content,
          name,
          ...(name === labelled && { associatedFiles: [file(LABELS_FILE, 'TENSOR_AXIS_LABELS')] }),
        })),
        ...(vocab !== undefined && {
          inputProcessUnits: [
            {
              options: {
                kind: 'BertTokenizerOptions' as const,
                value: { vocabFile: [file(VOCAB_FILE, 'VOCABULARY')] },
              },
            },
          ],
        }),
      },
    ],
  });
  const files: ZipEntry[] = [];
  if (vocab !== undefined) files.push({ name: VOCAB_FILE, bytes: vocab });
  if (labels !== undefined) files.push({ name: LABELS_FILE, bytes: new TextEncoder().encode(labels.join('\n')) });
  return { bytes, files };
}

function file(name: string, type: AssociatedFile['type']): Draft<AssociatedFile> {
  return { name, type };
}

function labelledOutput(graph: Graph, labels: readonly string[]): string {
  const broken = labels.find((label) => /[\r\n]/.test(label));
  if (broken !== undefined) {
    throw new MbertError(
      'MISMATCH',
      `labels: ${JSON.stringify(broken)} has a line break, which ends a label in ${LABELS_FILE}`,
    );
  }
  const output = graph.outputs.find(({ node }) => node.type.shape.at(-1) === labels.length);
  if (output === undefined) {
    const sizes = graph.outputs.map(({ name, node }) => `${name} has ${node.type.shape.at(-1) ?? 1}`);
    throw new MbertError('MISMATCH', `labels: there are ${labels.length}, but ${sizes.join(', ')}`);
  }
  return output.name;
}
