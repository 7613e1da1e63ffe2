import type { Tensor } from '../ir/tensor.ts';

/** Prefixes that wrappers put before every name, and which wrapper does. */
const WRAPPERS: readonly (readonly [prefix: string, who: string])[] = [
  ['module.', 'DataParallel'],
  ['_orig_mod.', 'torch.compile'],
  ['model.', "Lightning's or another module around the model"],
];

/** Prefix of a module that holds the encoder beside a head of its own; no encoder has embeddings within its layers. */
const ENCODER = 'encoder.';
const ENCODER_MARK = /^encoder\.embeddings\./;

/** Hears of a decision, worded `part: problem`. */
type Note = (problem: string) => void;

/** Takes wrappers' prefixes from names, each where all weights have it; `note` hears of each. */
export function unwrapNames(tensors: ReadonlyMap<string, Tensor>, note: Note): ReadonlyMap<string, Tensor> {
  const names = namesOfParts(withoutWrappers([...tensors.keys()], note), note);
  const values = [...tensors.values()];
  return new Map(names.map((name, i) => [name, values[i] as Tensor]));
}

function withoutWrappers(names: readonly string[], note: Note): readonly string[] {
  const wrapper = WRAPPERS.find(([prefix]) => names.every((name) => name.startsWith(prefix)));
  if (wrapper === undefined || names.length === 0) return names;
  const [prefix, who] = wrapper;
  note(`${prefix}: taken from the names, as ${who} puts it there`);
  const bare = names.map((name) => name.slice(prefix.length));
  return withoutWrappers(bare, note);
}

/** Names of an encoder and a head that a module of the user's own joins; the only linear beside it is its classifier. */
function namesOfParts(names: readonly string[], note: Note): readonly string[] {
  if (!names.some((name) => ENCODER_MARK.test(name))) return names;
  const beside = names.filter((name) => !name.startsWith(ENCODER));
  const [, head] = /^(.+)\.weight$/.exec(beside.find((name) => name.endsWith('.weight')) ?? '') ?? [];
  const isLinear = beside.length === 2 && head !== undefined && beside.includes(`${head}.bias`);
  const bare = names.map((name) => {
    if (name.startsWith(ENCODER)) return name.slice(ENCODER.length);
    return isLinear ? name.replace(`${head}.`, 'classifier.') : name;
  });
  if (new Set(bare).size < names.length) return names;
  note(`${ENCODER}: taken from the names of the encoder, as a module around it puts it there`);
  if (isLinear && head !== 'classifier') {
    note(`${head}: read as the classifier, on what transformers' classifiers read`);
  }
  return bare;
}
