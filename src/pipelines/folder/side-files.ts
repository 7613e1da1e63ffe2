import { dirname, join } from 'node:path';
import { MbertError } from '../../errors.ts';
import type { NamedBytes, TokenizerFiles } from '../../formats/tokenizer-files.ts';
import { MODULES_FILE, type ModuleFolders } from '../../importers/module-chain.ts';
import { parseObject, readSideFile } from '../../importers/side-files.ts';
import { listFolder, readWhole } from '../../io/files.ts';
import { tokenizerOf } from '../../opened/model-tokenizer.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { Writing } from '../../options/writing.ts';
import { plain } from '../../samples/tokenizer/json-fields.ts';
import { specialTokenEntries, tokenizerJson } from '../../samples/tokenizer/write-tokenizer-json.ts';
import type { SideFile } from './layout.ts';
import { trimmedConfig } from './trim-vocabulary.ts';

const CONFIG = 'config.json';
const TOKENIZER = 'tokenizer.json';
const TOKENIZER_CONFIG = 'tokenizer_config.json';

/** The model's config.json, with the class names that the user gave. Throws NOT_FOUND where it has none. */
export function configFile({ path, kept }: OpenedModel, { labels }: Writing, program: string): SideFile {
  const file = readSideFile(path, CONFIG);
  if (file === undefined) {
    throw new MbertError('NOT_FOUND', `${dirname(path)}: ${CONFIG}: is not there, and ${program} reads it`, {
      hint: 'put the config of the transformers model beside the weights, or leave out --layout',
    });
  }
  if (kept === undefined && labels === undefined) return { path: CONFIG, bytes: file.bytes, from: file.what };
  const trimmed = kept === undefined ? file : { ...file, bytes: trimmedConfig(file, kept) };
  const bytes = labels === undefined ? trimmed.bytes : namedConfig(trimmed, labels.names);
  return { path: CONFIG, bytes, from: undefined };
}

/** The config with these class names, which transformers and transformers.js take from it and not from a model's file. */
function namedConfig(file: NamedBytes, names: readonly string[]): Uint8Array {
  const config = plain(parseObject(file)) as { readonly [key: string]: unknown };
  const id2label = Object.fromEntries(names.map((name, id) => [id, name]));
  const label2id = new Map(names.map((name, id) => [name, id]));
  const json = JSON.stringify({ ...config, id2label, label2id: plain(label2id) }, null, 2);
  return new TextEncoder().encode(`${json}\n`);
}

/** The tokenizer.json, made where there is only a vocab.txt. Throws NOT_FOUND where there is neither. */
export function tokenizerFile(model: OpenedModel, given: TokenizerFiles | undefined, program: string): SideFile {
  const files = tokenizerOf(model, given);
  if (files.tokenizer !== undefined) return copyOf(files.tokenizer, TOKENIZER, model);
  const made = tokenizerJson(files);
  if (made !== undefined) return { path: TOKENIZER, bytes: made, from: undefined };
  throw new MbertError('NOT_FOUND', `${dirname(model.path)}: ${TOKENIZER}: is not there, and ${program} reads it`, {
    hint: 'AutoTokenizer.from_pretrained(folder).save_pretrained(folder) writes one; --vocab names one that lies elsewhere',
  });
}

/**
 * The tokenizer_config.json as it is, if it says what programs outside of Python ask it for: the names of the special tokens
 * and a length that the model has. What it lacks is added.
 */
export function tokenizerSettings(model: OpenedModel, given: TokenizerFiles | undefined): SideFile {
  const files = tokenizerOf(model, given);
  const { config } = files;
  const known = config === undefined ? new Map() : parseObject(config);
  const changed = new Map(known);
  for (const [key, token] of entriesOf(files)) if (!known.has(key)) changed.set(key, token);
  const length = known.get('model_max_length');
  // transformers writes 10^30 where it knows no length; texts that are longer than the model would stop the program.
  const isTooLong = typeof length !== 'number' || length > model.maxPositions;
  if (isTooLong && model.maxPositions < Number.MAX_SAFE_INTEGER) changed.set('model_max_length', model.maxPositions);
  if (!known.has('tokenizer_class')) changed.set('tokenizer_class', 'PreTrainedTokenizerFast');
  const isAsItWas = [...changed].every(([key, value]) => known.get(key) === value);
  if (config !== undefined && isAsItWas) return copyOf(config, TOKENIZER_CONFIG, model);
  const json = JSON.stringify(plain(changed), null, 2);
  return { path: TOKENIZER_CONFIG, bytes: new TextEncoder().encode(`${json}\n`), from: undefined };
}

/** Entries for special tokens; none of a tokenizer that mbert cannot read, which others may. */
function entriesOf(files: TokenizerFiles): ReadonlyMap<string, string> {
  try {
    return specialTokenEntries(files);
  } catch (cause) {
    if (cause instanceof MbertError) return new Map();
    throw cause;
  }
}

/** A file of the tokenizer; where tokens were taken out it is not the one that lay there. */
function copyOf({ what, bytes }: NamedBytes, path: string, { kept }: OpenedModel): SideFile {
  return { path, bytes, from: kept === undefined ? what : undefined };
}

/** Older files of a tokenizer, for whoever reads them besides: those that there are. */
export function olderFiles(model: OpenedModel, given: TokenizerFiles | undefined): SideFile[] {
  const { specialTokens, addedTokens, vocabulary } = tokenizerOf(model, given);
  const named = [
    ['special_tokens_map.json', specialTokens],
    ['added_tokens.json', addedTokens],
    ['vocab.txt', vocabulary],
  ] as const;
  return named.flatMap(([path, file]) => (file === undefined ? [] : [copyOf(file, path, model)]));
}

/** The tokenizer of a model whose tokens were taken out: no other file has it. */
export function trimmedFiles(model: OpenedModel, given: TokenizerFiles | undefined): SideFile[] {
  return [
    tokenizerFile(model, given, 'whoever feeds the model'),
    tokenizerSettings(model, given),
    ...olderFiles(model, given),
  ];
}

/** Settings of sentence-transformers for its encoder, where there are some. */
export function encoderSettings({ path }: OpenedModel): SideFile[] {
  const name = 'sentence_bert_config.json';
  const file = readSideFile(path, name);
  return file === undefined ? [] : [{ path: name, bytes: file.bytes, from: file.what }];
}

/** Files of sentence-transformers besides the encoder's: the list of modules, settings, and each other module's folder. */
export function filesOfModules({ root, modules }: ModuleFolders): SideFile[] {
  const top = [MODULES_FILE, 'config_sentence_transformers.json'];
  const ofTop = listFolder(root).names.filter((name) => top.includes(name));
  const ofModules = modules.slice(1).flatMap((module) => namesIn(root, module));
  return [...ofTop, ...ofModules].map((path) => {
    const from = join(root, path);
    return { path, bytes: readWhole(from), from };
  });
}

/** Files in a module's folder, which modules without settings may not have. */
function namesIn(root: string, module: string): string[] {
  if (module === '' || !listFolder(root).names.includes(module)) return [];
  return listFolder(join(root, module)).names.map((name) => `${module}/${name}`);
}
