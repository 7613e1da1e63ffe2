import { MbertError, malformed } from '../../errors.ts';
import type { JsonValue } from '../../formats/json.ts';
import { type Fields, fieldsOf } from './json-fields.ts';

/** One piece of a sequence: the first or second text, or tokens that are always there, with their token type. */
export type TemplatePiece =
  | { readonly text: 0 | 1; readonly type: number }
  | { readonly ids: readonly number[]; readonly type: number };

/** How one text and two become a sequence. */
export interface Template {
  readonly single: readonly TemplatePiece[];
  readonly pair: readonly TemplatePiece[];
}

/** The texts alone, one behind the other. */
export const BARE_TEMPLATE: Template = {
  single: [{ text: 0, type: 0 }],
  pair: [
    { text: 0, type: 0 },
    { text: 1, type: 1 },
  ],
};

/** `[CLS] a [SEP] b [SEP]`, the second text with its [SEP] of type 1. */
export function bertTemplate(start: number, separator: number): Template {
  const single: TemplatePiece[] = [
    { ids: [start], type: 0 },
    { text: 0, type: 0 },
    { ids: [separator], type: 0 },
  ];
  return { single, pair: [...single, { text: 1, type: 1 }, { ids: [separator], type: 1 }] };
}

/** `<s> a </s></s> b </s>`, without token types. */
export function robertaTemplate(start: number, separator: number): Template {
  const single: TemplatePiece[] = [
    { ids: [start], type: 0 },
    { text: 0, type: 0 },
    { ids: [separator], type: 0 },
  ];
  return {
    single,
    pair: [...single, { ids: [separator], type: 0 }, { text: 1, type: 0 }, { ids: [separator], type: 0 }],
  };
}

/** Reads the `post_processor` of a tokenizer.json, undefined where it adds nothing. Throws UNSUPPORTED for other types. */
export function readTemplate(json: JsonValue | undefined, what: string): Template | undefined {
  if (json === null || json === undefined) return undefined;
  const fields = fieldsOf(json, what);
  switch (fields.type) {
    case 'TemplateProcessing':
      return { single: piecesOf(fields, 'single'), pair: piecesOf(fields, 'pair') };
    case 'BertProcessing':
      return bertTemplate(idOf(fields, 'cls'), idOf(fields, 'sep'));
    case 'RobertaProcessing':
      return robertaTemplate(idOf(fields, 'cls'), idOf(fields, 'sep'));
    case 'ByteLevel':
      // It moves offsets only.
      return undefined;
    case 'Sequence': {
      const steps = (fields.list('processors') ?? []).map((step, i) => readTemplate(step, `${what}[${i}]`));
      const templates = steps.filter((step) => step !== undefined);
      if (templates.length < 2) return templates[0];
      break;
    }
  }
  throw new MbertError('UNSUPPORTED', `${what}: type "${fields.type}" is not supported`, {
    hint: 'supported: TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, or one of them in a Sequence',
  });
}

function piecesOf(fields: Fields, key: 'single' | 'pair'): TemplatePiece[] {
  const special = fields.object('special_tokens');
  return (fields.list(key) ?? []).map((json, i) => {
    const what = `${fields.what}.${key}[${i}]`;
    const piece = fieldsOf(json, what);
    const sequence = piece.object('Sequence');
    const token = fieldsOf(sequence ?? piece.object('SpecialToken'), what);
    const [id, type] = [token.text('id') ?? '', token.integer('type_id') ?? 0];
    if (sequence) return { text: id === 'B' ? 1 : 0, type };
    const ids = fieldsOf(special?.get(id), `${fields.what}.special_tokens: ${id}`).list('ids') ?? [];
    return { ids: ids.map((each) => wholeNumber(each, what)), type };
  });
}

/** The id of `["[SEP]", 102]`. */
function idOf(fields: Fields, key: 'cls' | 'sep'): number {
  return wholeNumber(fields.list(key)?.[1] ?? null, `${fields.what}.${key}`);
}

function wholeNumber(json: JsonValue, what: string): number {
  if (typeof json === 'number' && Number.isSafeInteger(json) && json >= 0) return json;
  throw malformed(what, 'has no token id');
}
