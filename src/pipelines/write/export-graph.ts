import type { OutputFile } from '../../io/files.ts';
import type { Graph } from '../../ir/graph.ts';
import { fittedMetadata, fittedTexts } from '../../opened/fitted-texts.ts';
import { tokenizerOf } from '../../opened/model-tokenizer.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { Writing } from '../../options/writing.ts';
import type { Target } from '../../passes/index.ts';
import { tokenizerFacts } from '../../samples/tokenizer-facts.ts';
import { VERSION } from '../../version.ts';

export interface ExportOptions {
  readonly target: Target;
  /** The model's file name. */
  readonly name: string;
  readonly writing: Writing;
  /** What the file says of itself besides what every file says. */
  readonly properties?: Properties;
}

export type Properties = { readonly [key: string]: string };

/** The files of a prepared graph, in chunks. Exporters are loaded when they are needed: each takes longer than a small conversion. */
export async function* exportGraph(
  model: OpenedModel,
  graph: Graph,
  { target, name, writing, properties: more }: ExportOptions,
): AsyncIterable<OutputFile> {
  const { dtype, opset, operators, externalData, minRuntime } = writing;
  const { lowerCase, vocabulary } = tokenizerFacts(tokenizerOf(model, writing.tokenizer));
  const properties = { ...propertiesOf(model, dtype, lowerCase), ...more };
  if (target === 'onnx') {
    const { minimumOpset, onnx } = await import('../../exporters/onnx.ts');
    yield* onnx.write(graph, {
      ...onnx.defaults,
      name,
      dtype,
      properties,
      producerVersion: VERSION,
      // 4-bit, 16-bit and blockwise types came late; an opset that the user names is kept to.
      opset: opset ?? Math.max(onnx.defaults.opset, minimumOpset(graph, operators)),
      operators,
      ...(externalData !== undefined && { externalData }),
    });
    return;
  }
  const { tflite } = await import('../../exporters/tflite.ts');
  yield* tflite.write(graph, {
    ...tflite.defaults,
    name,
    dtype,
    ...(minRuntime !== undefined && { minRuntime }),
    metadata: { properties, ...(vocabulary && { vocab: vocabulary }), ...(model.labels && { labels: model.labels }) },
  });
}

/** What every file says of itself: nothing that differs between two runs on the same input. */
function propertiesOf(model: OpenedModel, dtype: 'f32' | 'f16', lowerCase: boolean): Properties {
  return {
    'mbert.version': VERSION,
    'mbert.architecture': model.architecture,
    ...(model.task && { 'mbert.task': model.task }),
    'mbert.dtype': dtype,
    'mbert.lower_case': String(lowerCase),
    ...(model.logitsKind && { 'mbert.logits': model.logitsKind }),
    ...(model.labels && { 'mbert.labels': JSON.stringify(model.labels) }),
    ...fittedMetadata(fittedTexts(model)),
  };
}

/** A written file's bytes, in memory. */
export async function bytesOf(files: AsyncIterable<OutputFile>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const { chunks } of files) for await (const chunk of chunks) parts.push(chunk.slice());
  return Buffer.concat(parts);
}
