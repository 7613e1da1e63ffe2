import { listNames, MbertError, malformed } from '../errors.ts';
import { isObject, type JsonObject, jsonText } from '../formats/json.ts';
import { sameShape, shapeText } from '../ir/shape.ts';
import { computedTensor, readF32, type Tensor } from '../ir/tensor.ts';

/** An adapter_config.json. */
export interface AdapterConfig {
  readonly path: string;
  readonly json: JsonObject;
}

/** Prefix that PEFT puts before the names of the model that it wraps. */
const WRAPPED = /^base_model\.model\./;

/** Kinds of LoRA, and parts of it, that compute something else than W + s·B·A. */
const VARIANTS = [
  'use_dora',
  'use_qalora',
  'use_bdlora',
  'lora_bias',
  'alora_invocation_tokens',
  'arrow_config',
  'kasa_config',
  'monteclora_config',
  'velora_config',
  'layer_replication',
  'trainable_token_indices',
  'target_parameters',
] as const;

const WAY_OUT = 'merge it with PEFT and convert the whole: model.merge_and_unload().save_pretrained(FOLDER)';

/** The two factors of a module's change: A [rank, in] and B [out, rank]. */
interface Factors {
  a?: Tensor;
  b?: Tensor;
  readonly isEmbedding: boolean;
}

/** Weights by PEFT's names, told apart. */
interface PeftWeights {
  /** Weights under the names that the model itself has. */
  readonly whole: ReadonlyMap<string, Tensor>;
  /** Factors by the module that they change. */
  readonly factors: ReadonlyMap<string, Factors>;
}

/** True for names of a model that PEFT has wrapped and not merged. */
export function isUnmerged(tensors: ReadonlyMap<string, Tensor>): boolean {
  return [...tensors.keys()].some((name) => /\.(lora_[AB]|base_layer)\./.test(name));
}

/** Tells factors and whole weights apart. Throws UNSUPPORTED for weights of other adapters, or of several. */
export function readPeftWeights(tensors: ReadonlyMap<string, Tensor>, path: string): PeftWeights {
  const whole = new Map<string, Tensor>();
  const factors = new Map<string, Factors>();
  const adapters = new Set<string>();
  for (const [wrapped, tensor] of tensors) {
    const name = wrapped.replace(WRAPPED, '');
    const [, module, embedding, side, adapter] =
      /^(.*)\.lora_(embedding_)?([AB])(?:\.(?!weight$)([^.]+))?(?:\.weight)?$/.exec(name) ?? [];
    const saved = /^(.*)\.modules_to_save\.(?:(?!weight$|bias$)([^.]+)\.)?(.+)$/.exec(name);
    if (module !== undefined) {
      const pair = factors.get(module) ?? { isEmbedding: embedding !== undefined };
      factors.set(module, side === 'A' ? { ...pair, a: tensor } : { ...pair, b: tensor });
      if (adapter !== undefined) adapters.add(adapter);
    } else if (saved !== null) {
      if (saved[2] !== undefined) adapters.add(saved[2]);
      whole.set(`${saved[1]}.${saved[3]}`, tensor);
    } else if (/\.lora_/.test(name)) {
      throw new MbertError('UNSUPPORTED', `${path}: ${wrapped}: is no part of a plain LoRA`, { hint: WAY_OUT });
    } else if (!/\.original_module\./.test(name)) {
      whole.set(name.replace(/\.base_layer\.(weight|bias)$/, '.$1'), tensor);
    }
  }
  if (adapters.size > 1) {
    const problem = `holds several adapters: ${listNames([...adapters])}`;
    throw new MbertError('UNSUPPORTED', `${path}: ${problem}`, { hint: WAY_OUT });
  }
  return { whole, factors };
}

/** Refuses what is no plain LoRA. Throws UNSUPPORTED. */
export function refuseOtherAdapters({ path, json }: AdapterConfig): void {
  const type = json.get('peft_type');
  if (type !== 'LORA') {
    const problem = type === undefined ? 'is absent' : `${jsonText(type)} is not supported`;
    throw new MbertError('UNSUPPORTED', `${path}: peft_type: ${problem}: of adapters mbert merges LoRA`, {
      hint: WAY_OUT,
    });
  }
  const variant = VARIANTS.find((key) => (json.get(key) ?? false) !== false);
  if (variant === undefined) return;
  throw new MbertError('UNSUPPORTED', `${path}: ${variant}: ${jsonText(json.get(variant) ?? null)} is not supported`, {
    hint: WAY_OUT,
  });
}

/**
 * Merges W + s·B·A into the base's weights, where s = alpha / rank, or alpha / √rank for rank-stabilized LoRA; weights that
 * the adapter holds whole take the place of the base's. `names` gives the names that the base may have for a weight.
 */
export function mergeLora(
  base: ReadonlyMap<string, Tensor>,
  { whole, factors }: PeftWeights,
  config: AdapterConfig,
  names: (name: string) => readonly string[] = (name) => [name],
): ReadonlyMap<string, Tensor> {
  const merged = new Map(base);
  for (const [name, tensor] of whole) merged.set(names(name).find((each) => base.has(each)) ?? name, tensor);
  for (const [module, { a, b, isEmbedding }] of factors) {
    const weight = `${module}.weight`;
    const name = names(weight).find((each) => base.has(each));
    const matrix = name === undefined ? undefined : base.get(name);
    if (name === undefined || matrix === undefined)
      throw malformed(config.path, `${weight}: is changed, but the base has no such weight`);
    if (a === undefined || b === undefined) throw malformed(config.path, `${module}: lacks one of its factors`);
    merged.set(
      name,
      withChange(
        matrix,
        {
          a,
          b,
          isTurned: isEmbedding || config.json.get('fan_in_fan_out') === true,
          scale: scaleOf(config, module, a),
        },
        `${config.path}: ${module}`,
      ),
    );
  }
  return merged;
}

interface Change {
  readonly a: Tensor;
  readonly b: Tensor;
  /** True for a matrix [in, out]. */
  readonly isTurned: boolean;
  readonly scale: number;
}

/** The matrix with the product added, computed when it is read. */
function withChange(matrix: Tensor, { a, b, isTurned, scale }: Change, what: string): Tensor {
  const [rank = 0, width = 0] = a.shape;
  const [height = 0, other] = b.shape;
  const shape = isTurned ? [width, height] : [height, width];
  if (other !== rank || !sameShape(matrix.shape, shape)) {
    throw malformed(what, `${shapeText(b.shape)} times ${shapeText(a.shape)} does not fit ${shapeText(matrix.shape)}`);
  }
  return computedTensor('f32', matrix.shape, () => {
    const [values, left, right] = [readF32(matrix), readF32(b), readF32(a)];
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        let sum = 0;
        for (let r = 0; r < rank; r++) sum += (left[row * rank + r] as number) * (right[r * width + column] as number);
        const at = isTurned ? column * height + row : row * width + column;
        values[at] = (values[at] as number) + scale * sum;
      }
    }
    return values;
  });
}

function scaleOf({ path, json }: AdapterConfig, module: string, a: Tensor): number {
  const rank = a.shape[0] ?? 0;
  const alpha = alphaOf(json, module, path);
  return alpha / (json.get('use_rslora') === true ? Math.sqrt(rank) : rank);
}

/** The alpha of a module: its own, by the end of its name, or that of all. */
function alphaOf(json: JsonObject, module: string, path: string): number {
  const patterns = json.get('alpha_pattern');
  const own = isObject(patterns)
    ? [...patterns].find(([name]) => module === name || module.endsWith(`.${name}`))
    : undefined;
  const odd = isObject(patterns) ? [...patterns.keys()].find((name) => !/^[\w.]+$/.test(name)) : undefined;
  if (odd !== undefined) {
    throw new MbertError('UNSUPPORTED', `${path}: alpha_pattern: ${jsonText(odd)} is no plain name`, { hint: WAY_OUT });
  }
  const alpha = own?.[1] ?? json.get('lora_alpha');
  if (typeof alpha === 'number' && Number.isFinite(alpha)) return alpha;
  throw malformed(path, `lora_alpha: must be a number, got ${jsonText(alpha ?? null)}`);
}

/** Weights of adapters that are no LoRA, by parts of their names. */
const FOREIGN: readonly (readonly [RegExp, string])[] = [
  [/\.adapters\.([^.]+)\./, 'adapters of AdapterHub'],
  [/\.(ia3_l)\b/, 'IA3'],
  [/(?:^|\.)(prompt_encoder|prompt_embeddings|prefix_encoder)\./, 'prompt or prefix tuning'],
  [/\.(hada_w|lokr_w|oft_[rs]|boft_[rs]|vera_lambda|fourierft_spectrum|randlora_)/, 'an adapter of PEFT'],
];

/** Refuses weights of adapters that would be left out without changing a name. Throws UNSUPPORTED. */
export function refuseForeignAdapters(names: Iterable<string>, path: string): void {
  for (const name of names) {
    const found = FOREIGN.find(([pattern]) => pattern.test(name));
    if (found === undefined) continue;
    throw new MbertError(
      'UNSUPPORTED',
      `${path}: ${name}: belongs to ${found[1]}, which change what the model computes`,
      {
        hint: 'merge or fuse them in the library that trained them, and save the whole model',
      },
    );
  }
}
