export type TokenInput = 'input_ids' | 'attention_mask' | 'token_type_ids';

/** What an input of a model holds, by its name: google-research says input_mask and segment_ids, TensorFlow adds `:0` and prefixes. */
export function tokenInput(name: string): TokenInput {
  if (/mask/i.test(name)) return 'attention_mask';
  return /type|segment/i.test(name) ? 'token_type_ids' : 'input_ids';
}
