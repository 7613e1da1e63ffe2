import { basename, dirname, join, resolve } from 'node:path';
import { malformed } from '../errors.ts';
import type { ModuleChain, SavedModule } from '../formats/checkpoint.ts';
import { isObject, type JsonObject, type JsonValue, jsonText } from '../formats/json.ts';
import { readSafetensors } from '../formats/safetensors.ts';
import { readTorch } from '../formats/torch.ts';
import { type ModelFile, siblingPath } from '../io/files.ts';
import type { Tensor } from '../ir/tensor.ts';
import { openIfThere, readJson } from './side-files.ts';

/** File in which sentence-transformers lists what runs behind the encoder. */
export const MODULES_FILE = 'modules.json';

/** Configs of the encoder's module: the name once followed the class of the encoder. */
const ENCODER_CONFIGS = [
  'sentence_bert_config.json',
  'sentence_roberta_config.json',
  'sentence_distilbert_config.json',
] as const;

/** Longest chain: published ones have four modules at most. */
const MAX_MODULES = 32;

/** The folder of the encoder that modules.json names, below its own; undefined where there is none. */
export function encoderFolder(folder: string): string | undefined {
  const path = join(folder, MODULES_FILE);
  const json = readJson(path);
  return json === undefined ? undefined : listModules(json, path)[0]?.path || undefined;
}

/** Folders of a sentence-transformers model, without what is in them. */
export interface ModuleFolders {
  /** Folder of modules.json. */
  readonly root: string;
  /** Name of each module's folder below it, in the order in which they run; empty for the root itself. */
  readonly modules: readonly string[];
}

/** The folders of the sentence-transformers model that a file of weights belongs to; undefined where it belongs to none. */
export function moduleFolders(modelPath: string): ModuleFolders | undefined {
  const own = dirname(modelPath);
  for (const root of [own, join(own, '..')]) {
    const path = join(root, MODULES_FILE);
    const json = readJson(path);
    if (json === undefined) continue;
    const modules = listModules(json, path).map((module) => module.path);
    for (const name of modules) if (name !== '') siblingPath(path, name);
    const encoder = modules[0] === '' ? root : join(root, modules[0] as string);
    // `own` is as the user wrote it: ./model, or with slashes on Windows.
    if ([encoder, join(encoder, 'onnx')].map((each) => resolve(each)).includes(resolve(own))) return { root, modules };
  }
  return undefined;
}

interface ReadChain {
  readonly chain: ModuleChain;
  /** Weights of the modules, each name behind its module's folder. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/**
 * Reads the modules of a sentence-transformers folder in which the weights lie, at its top or in the encoder's own folder;
 * undefined where they lie in another one. Files of weights are added to `opened`.
 */
export function readModuleChain(weightsPath: string, opened: ModelFile[]): ReadChain | undefined {
  const folder = dirname(weightsPath);
  const own = readChain(folder, opened);
  if (own !== undefined) return own;
  // Before version 3 the encoder had a folder of its own: 0_Transformer, 0_BERT.
  const parent = join(folder, '..');
  const modules = readJson(join(parent, MODULES_FILE));
  if (modules === undefined) return undefined;
  const isNamed = listModules(modules, join(parent, MODULES_FILE))[0]?.path === basename(folder);
  return isNamed ? readChain(parent, opened) : undefined;
}

function readChain(folder: string, opened: ModelFile[]): ReadChain | undefined {
  const path = join(folder, MODULES_FILE);
  const json = readJson(path);
  if (json === undefined) return undefined;
  const tensors = new Map<string, Tensor>();
  const modules = listModules(json, path).map(({ type, path: part }, i): SavedModule => {
    const own = part === '' ? folder : siblingPath(path, part);
    // The encoder's weights and config.json are read without its module.
    if (i > 0) for (const [name, tensor] of readWeights(own, opened)) tensors.set(`${part}.${name}`, tensor);
    return { type, path: part, ...readSettings(own, i === 0 ? ENCODER_CONFIGS : ['config.json']) };
  });
  const { config: settings, configPath: settingsPath } = readSettings(folder, ['config_sentence_transformers.json']);
  return { chain: { path, modules, settings, settingsPath }, tensors };
}

/** Class and folder of each module, in their order. */
function listModules(json: JsonValue, path: string): { readonly type: string; readonly path: string }[] {
  if (!Array.isArray(json) || json.length === 0) throw malformed(path, `is ${jsonText(json)}, not a list of modules`);
  if (json.length > MAX_MODULES) throw malformed(path, `lists ${json.length} modules, more than ${MAX_MODULES}`);
  const rows = (json as readonly JsonValue[]).map((module, i) => {
    const [type, folder, index] = isObject(module) ? ['type', 'path', 'idx'].map((key) => module.get(key)) : [];
    if (typeof type !== 'string' || typeof folder !== 'string')
      throw malformed(path, `module ${i}: has no type or path`);
    return { type, path: folder.replace(/\/$/, ''), index: typeof index === 'number' ? index : i };
  });
  return rows.sort((a, b) => a.index - b.index);
}

/** Reads the first config that there is; an empty one stands for none. */
function readSettings(folder: string, names: readonly [string, ...string[]]) {
  for (const name of names) {
    const configPath = join(folder, name);
    const config = readJson(configPath);
    if (config === undefined) continue;
    if (!isObject(config)) throw malformed(configPath, `is ${jsonText(config)}, not a JSON object`);
    return { configPath, config };
  }
  return { configPath: join(folder, names[0]), config: new Map() satisfies JsonObject };
}

/** Weights of a module, which few have. */
function readWeights(folder: string, opened: ModelFile[]): ReadonlyMap<string, Tensor> {
  for (const [name, read] of [
    ['model.safetensors', readSafetensors],
    ['pytorch_model.bin', (file: ModelFile) => readTorch(file).tensors],
  ] as const) {
    const file = openIfThere(join(folder, name));
    if (file === undefined) continue;
    opened.push(file);
    return read(file);
  }
  return new Map();
}
