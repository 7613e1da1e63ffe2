import { MbertError } from '../errors.ts';
import { readClassNames } from '../formats/class-names.ts';
import { isObject, type JsonObject, parseJson } from '../formats/json.ts';
import type { GraphSource } from '../importers/importer.ts';
import type { LogitsKind, Task } from '../models/index.ts';
import { logitsKind } from '../models/scores.ts';

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

/**
 * Tells a classifier of texts, whose outputs have no names of their own: by what mbert wrote into the file, else by the
 * class in the config beside it. A graph of other outputs than one row of numbers for each text is none.
 */
export function classifierTask({ facts, config, graph }: GraphSource): 'sequence-classification' | undefined {
  const [output, ...others] = graph.outputs;
  const isOneRow = output?.node.type.shape.length === 2 && graph.inputs[0]?.type.shape.length === 2;
  if (!isOneRow || others.length > 0) return undefined;
  const written = facts?.get('mbert.task');
  if (written !== undefined) return written === CLASSIFIER ? written : undefined;
  const classes = config?.get('architectures');
  const isOne = Array.isArray(classes) && /ForSequenceClassification$/.test(String(classes[0]));
  return isOne ? CLASSIFIER : undefined;
}

const CLASSIFIER = 'sequence-classification';

/**
 * Tells what a classifier's logits are where one class is not right: as mbert wrote it into the file, else as the config
 * beside it has it. Without a word about it, softmax would make probabilities of labels that do not exclude one another.
 */
export function logitsKindOf({ facts, config, graph }: GraphSource, task: Task | undefined): LogitsKind | undefined {
  const written = facts?.get('mbert.logits');
  if (written === 'multi-label' || written === 'regression') return written;
  if (task !== 'sequence-classification' || config === undefined) return undefined;
  const classes = graph.outputs[0]?.node.type.shape.at(-1);
  return logitsKind(config, typeof classes === 'number' ? classes : undefined);
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
