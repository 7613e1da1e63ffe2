import { dirname, join } from 'node:path';
import { MbertError, malformed } from '../errors.ts';
import type { Checkpoint } from '../formats/checkpoint.ts';
import { isObject, jsonText } from '../formats/json.ts';
import { readSafetensors } from '../formats/safetensors.ts';
import { readTorch } from '../formats/torch.ts';
import type { ModelFile } from '../io/files.ts';
import type { Tensor } from '../ir/tensor.ts';
import {
  type AdapterConfig,
  isUnmerged,
  mergeLora,
  readPeftWeights,
  refuseForeignAdapters,
  refuseOtherAdapters,
} from './lora.ts';
import { openIfThere, readJson } from './side-files.ts';

/** Config by which PEFT knows an adapter. */
export const ADAPTER_CONFIG = 'adapter_config.json';

/** Files that hold an adapter's weights, which are no model's. */
export const ADAPTER_FILE = /^(adapter_model|pytorch_adapter)\./;

/** Weights of a checkpoint with an adapter merged into them. */
interface Merged {
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** PEFT's name of the task that the adapter was trained for: `SEQ_CLS`. */
  readonly taskType: string | undefined;
}

/**
 * Applies the adapter in the folder of a checkpoint, as transformers' from_pretrained does, or the one that is among the
 * weights themselves. Throws UNSUPPORTED for one that is no plain LoRA.
 */
export function mergeAdapterBeside(
  weightsPath: string,
  tensors: ReadonlyMap<string, Tensor>,
  opened: ModelFile[],
  note: (problem: string) => void,
): Merged {
  const folder = dirname(weightsPath);
  if (isUnmerged(tensors)) {
    const config = readAdapterConfig(folder);
    if (config === undefined) {
      throw new MbertError(
        'UNSUPPORTED',
        `${weightsPath}: its LoRA is not merged, and nothing here says its lora_alpha`,
        {
          hint: `put the ${ADAPTER_CONFIG} of the training beside it, or merge with PEFT: model.merge_and_unload()`,
        },
      );
    }
    refuseOtherAdapters(config);
    const { whole, factors } = readPeftWeights(tensors, weightsPath);
    note(`${config.path}: LoRA of ${factors.size} modules merged into the weights`);
    return { tensors: mergeLora(whole, { whole: new Map(), factors }, config), taskType: undefined };
  }
  refuseForeignAdapters(tensors.keys(), weightsPath);
  const config = readAdapterConfig(folder);
  if (config === undefined) return { tensors, taskType: undefined };
  return applyAdapter(folder, config, tensors, opened, note);
}

/** Puts the adapter of a folder onto the checkpoint that it was trained on. Throws what reading the adapter throws. */
export function onBase(folder: string, base: Checkpoint): Checkpoint {
  const config = readAdapterConfig(folder);
  if (config === undefined) throw malformed(folder, `holds no ${ADAPTER_CONFIG}`);
  const opened: ModelFile[] = [];
  const notes = [...base.notes];
  const close = () => {
    base.close();
    for (const file of opened) file.close();
  };
  try {
    const merged = applyAdapter(folder, config, base.tensors, opened, (problem) => notes.push(problem));
    return { ...base, ...merged, notes, close };
  } catch (cause) {
    close();
    throw cause;
  }
}

function applyAdapter(
  folder: string,
  config: AdapterConfig,
  base: ReadonlyMap<string, Tensor>,
  opened: ModelFile[],
  note: (problem: string) => void,
): Merged {
  refuseOtherAdapters(config);
  const { path, tensors } = readAdapterWeights(folder, opened);
  const adapter = readPeftWeights(tensors, path);
  const task = config.json.get('task_type');
  note(`${path}: LoRA of ${adapter.factors.size} modules merged into the weights`);
  return {
    tensors: mergeLora(base, adapter, config, namesIn(base)),
    taskType: typeof task === 'string' ? task : undefined,
  };
}

/**
 * Names that a base may have for an adapter's weight: a model with a head keeps the encoder in a module, of which a bare
 * encoder's names know nothing, and either may be the base of an adapter of the other.
 */
function namesIn(base: ReadonlyMap<string, Tensor>): (name: string) => readonly string[] {
  const modules = new Set([...base.keys()].map((name) => name.slice(0, name.indexOf('.'))));
  return (name) => [name, name.slice(name.indexOf('.') + 1), ...[...modules].map((module) => `${module}.${name}`)];
}

function readAdapterConfig(folder: string): AdapterConfig | undefined {
  const path = join(folder, ADAPTER_CONFIG);
  const json = readJson(path);
  if (json === undefined) return undefined;
  if (!isObject(json)) throw malformed(path, `is ${jsonText(json)}, not a JSON object`);
  return { path, json };
}

function readAdapterWeights(folder: string, opened: ModelFile[]) {
  for (const [name, read] of [
    ['adapter_model.safetensors', readSafetensors],
    ['adapter_model.bin', (file: ModelFile) => readTorch(file).tensors],
  ] as const) {
    const path = join(folder, name);
    const file = openIfThere(path);
    if (file === undefined) continue;
    opened.push(file);
    return { path, tensors: read(file) };
  }
  throw new MbertError(
    'NOT_FOUND',
    `${join(folder, ADAPTER_CONFIG)}: there is no adapter_model.safetensors beside it`,
    {
      hint: 'fetch the whole folder of the adapter',
    },
  );
}

/** The refusal of an adapter without the model that it changes. */
export function adapterAlone(folder: string): MbertError {
  const base = readAdapterConfig(folder)?.json.get('base_model_name_or_path');
  const named = typeof base === 'string' ? ` (it names ${base})` : '';
  return new MbertError('UNSUPPORTED', `${folder}: is an adapter, not a model`, {
    hint: `say which model it was trained on: --base FOLDER${named}`,
  });
}
