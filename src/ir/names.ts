/** Names that checkpoints, exporters and TensorFlow give to a layer: `encoder.layer.3`, `encoder/layer_3`, `h.3`. */
const LAYER = /^(?:.*?[./])?(?:layers?|blocks?|h|transformer)[._/]+(\d+)(?!\d)/;

/**
 * The part of a node's name that says which layer it is in, as `mobilebert.encoder.layer.3`; undefined where no part
 * does.
 */
export function layerOf(name: string): string | undefined {
  return LAYER.exec(name)?.[0];
}

/** Kinds of token inputs. */
export type TokenInput = 'input_ids' | 'attention_mask' | 'token_type_ids';

/**
 * The kind of a model's input by its name: google-research says input_mask and segment_ids, TensorFlow adds `:0` and
 * prefixes.
 */
export function tokenInput(name: string): TokenInput {
  if (/mask/i.test(name)) return 'attention_mask';
  return /type|segment/i.test(name) ? 'token_type_ids' : 'input_ids';
}
