import type { ModuleChain } from '../formats/checkpoint.ts';
import { isObject, type JsonObject, jsonText } from '../formats/json.ts';
import { isIdentity, TORCH_ACTIVATIONS, torchClass } from './torch-activations.ts';

/** The kind of a head's logits, where they are not those of classes of which one is right. */
export type LogitsKind = 'regression' | 'multi-label';

/** Tells it by transformers' problem_type; without one a single class is a regression. */
export function logitsKind(config: JsonObject, classes: number | undefined): LogitsKind | undefined {
  const type = config.get('problem_type');
  if (type === 'regression') return 'regression';
  if (type === 'multi_label_classification') return 'multi-label';
  return classes === 1 ? 'regression' : undefined;
}

/** Keys under which configs of cross-encoders name their activation, before and since version 4 of sentence-transformers. */
const FORMER_KEY = 'sbert_ce_default_activation_function';
const KEY = 'activation_fn';

/** What a cross-encoder makes of its logits. */
interface ScoreActivation {
  /** Class of torch's activation; undefined where the logits are the scores. */
  readonly activation: string | undefined;
  readonly warning: string | undefined;
}

/** Reads the activation of a cross-encoder; undefined for other models. */
export function readScoreActivation(
  {
    config,
    configPath,
    moduleChain,
  }: { readonly config: JsonObject; readonly configPath: string; readonly moduleChain?: ModuleChain | undefined },
  classes: number | undefined,
): ScoreActivation | undefined {
  const section = config.get('sentence_transformers');
  const settings = moduleChain?.settings;
  const isCrossEncoder = settings?.get('model_type') === 'CrossEncoder';
  const path =
    (isObject(section) ? section.get(KEY) : undefined) ??
    config.get(FORMER_KEY) ??
    (isCrossEncoder ? settings?.get(KEY) : undefined);
  if (path === undefined || path === null) {
    return isCrossEncoder ? { activation: classes === 1 ? 'Sigmoid' : undefined, warning: undefined } : undefined;
  }
  const name = typeof path === 'string' ? torchClass(path) : undefined;
  if (name !== undefined && TORCH_ACTIVATIONS.includes(name)) {
    return { activation: isIdentity(name) ? undefined : name, warning: undefined };
  }
  const warning = `${configPath}: ${KEY}: ${jsonText(path)} is not applied: the file gives logits`;
  return { activation: undefined, warning };
}
