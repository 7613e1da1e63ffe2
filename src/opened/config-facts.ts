import { MbertError } from '../errors.ts';
import { readClassNames } from '../formats/class-names.ts';
import { isObject, type JsonObject, parseJson } from '../formats/json.ts';
import type { GraphSource } from '../importers/importer.ts';
import type { Task } from '../models/index.ts';

/** The id of padding that a config names, BERT's 0 where it names none. */
export function padOf(config: JsonObject | undefined): number {
  const id = config?.get('pad_token_id');
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 ? id : 0;
}

/**
 * Names of a graph's classes: its own, else those of the config beside it, as far as it has an output of as many numbers.
 * A question answerer's two numbers are no classes.
 */
export function labelsOf(
  { labels, facts, config, graph }: GraphSource,
  task: Task | undefined,
): readonly string[] | undefined {
  if (labels !== undefined || task === 'qa') return labels;
  const names = writtenLabels(facts?.get('mbert.labels')) ?? configLabels(config);
  const fits = graph.outputs.some(({ node }) => node.type.shape.at(-1) === names?.length);
  return fits ? names : undefined;
}

/** Labels that mbert wrote into an ONNX file. */
function writtenLabels(json: string | undefined): readonly string[] | undefined {
  if (json === undefined) return undefined;
  try {
    const names: unknown = parseJson(json, 'mbert.labels');
    return Array.isArray(names) && names.every((name) => typeof name === 'string') ? names : undefined;
  } catch (cause) {
    if (cause instanceof MbertError) return undefined;
    throw cause;
  }
}

function configLabels(config: JsonObject | undefined): readonly string[] | undefined {
  const id2label = config?.get('id2label');
  return isObject(id2label) ? readClassNames(id2label)?.names : undefined;
}
