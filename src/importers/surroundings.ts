import { dirname, join } from 'node:path';
import type { Checkpoint } from '../formats/checkpoint.ts';
import { isObject, type JsonObject, jsonText } from '../formats/json.ts';
import type { ModelFile } from '../io/files.ts';
import type { Tensor } from '../ir/tensor.ts';
import { mergeAdapterBeside } from './adapter.ts';
import { readModuleChain } from './module-chain.ts';
import { openIfThere } from './side-files.ts';
import { unwrapNames } from './wrapped-names.ts';

/** Weights of a torch checkpoint as they lie in their files, with the config beside them. */
interface BareCheckpoint {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly config: JsonObject;
  readonly configPath: string;
}

/** Weights with what surrounds them applied or told: wrappers around the model, adapters, modules behind it, code of its own. */
export function withSurroundings(
  { path, tensors, config, configPath }: BareCheckpoint,
  opened: ModelFile[],
): Pick<Checkpoint, 'tensors' | 'moduleChain' | 'taskType' | 'notes'> {
  const notes: string[] = [];
  const unwrapped = unwrapNames(tensors, (problem) => notes.push(`${path}: ${problem}`));
  const modelType = config.get('model_type');
  const type = typeof modelType === 'string' ? modelType : '';
  const merged = mergeAdapterBeside(path, unwrapped, opened, (problem) => notes.push(problem));
  const code = ownCode(config);
  if (code !== undefined) {
    const what = type === '' ? 'the model' : `a model of type ${type}`;
    notes.push(
      `${configPath}: auto_map: names code of its own, ${code}: what transformers computes for ${what} is built`,
    );
  }
  const chain = readModuleChain(path, opened);
  const folder = dirname(chain?.chain.path ?? path);
  if (isThere(join(folder, SETFIT_HEAD))) {
    notes.push(
      `${join(folder, SETFIT_HEAD)}: SetFit's classifier is not converted: the file gives the embedding that it reads`,
    );
  }
  return {
    tensors: new Map([...merged.tensors, ...(chain?.tensors ?? [])]),
    moduleChain: chain?.chain,
    taskType: merged.taskType,
    notes,
  };
}

/** SetFit's classifier: a pickle of scikit-learn objects. */
const SETFIT_HEAD = 'model_head.pkl';

function isThere(path: string): boolean {
  const file = openIfThere(path);
  file?.close();
  return file !== undefined;
}

/** Class that auto_map names for a model; undefined where it is about other things. */
function ownCode(config: JsonObject): string | undefined {
  const map = config.get('auto_map');
  if (!isObject(map)) return undefined;
  const entry = [...map].find(([key]) => key.startsWith('AutoModel'));
  return entry === undefined ? undefined : jsonText(entry[1]);
}
