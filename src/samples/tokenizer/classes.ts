import { bertTemplate, robertaTemplate, type Template } from './template.ts';

/** Behaviour of a tokenizer class of transformers beyond what its files say. */
export interface TokenizerClass {
  /** Sequence of one text and of two, where a tokenizer.json has no `post_processor`. */
  readonly template: (start: number, separator: number) => Template;
  readonly tokens: {
    readonly pad: string;
    readonly unknown: string;
    readonly start: string;
    readonly separator: string;
    readonly mask: string;
  };
  /** True for WordPiece, whose vocab.txt is a whole tokenizer, and whose config overrules a tokenizer.json's normalizer. */
  readonly isWordPiece: boolean;
}

const BERT_TOKENS = { pad: '[PAD]', unknown: '[UNK]', start: '[CLS]', separator: '[SEP]', mask: '[MASK]' };
const ROBERTA_TOKENS = { pad: '<pad>', unknown: '<unk>', start: '<s>', separator: '</s>', mask: '<mask>' };

const ROWS: readonly (readonly [names: RegExp, TokenizerClass])[] = [
  [
    /^(Bert|DistilBert|MobileBert|Electra|SqueezeBert|ConvBert|Lxmert|LayoutLM|Retribert)$/,
    { template: bertTemplate, tokens: BERT_TOKENS, isWordPiece: true },
  ],
  [/^MPNet$/, { template: robertaTemplate, tokens: { ...ROBERTA_TOKENS, unknown: '[UNK]' }, isWordPiece: true }],
  [/^(Albert|Deberta|DebertaV2|RemBert)$/, { template: bertTemplate, tokens: BERT_TOKENS, isWordPiece: false }],
  [
    /^(Roberta|XLMRoberta|Camembert|Longformer)$/,
    { template: robertaTemplate, tokens: ROBERTA_TOKENS, isWordPiece: false },
  ],
];

/** The class of a name such as `BertTokenizerFast`; undefined for those that only do what a tokenizer.json says. */
export function tokenizerClass(name: string): TokenizerClass | undefined {
  const family = name.replace(/Tokenizer(Fast)?$/, '');
  return ROWS.find(([names]) => names.test(family))?.[1];
}

/** Classes that split texts by code of their own, which no file holds: a tokenizer.json beside them is another one. */
export const OWN_CODE = /^(BertJapanese|RoFormer|RoCBert|Bertweet|Phobert|Tapas|Canine)Tokenizer(Fast)?$/;
