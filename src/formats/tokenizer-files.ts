/** Bytes of a file with their name in errors. */
export interface NamedBytes {
  readonly what: string;
  readonly bytes: Uint8Array;
}

/** Files that say how texts become tokens, unparsed: most commands need none of them. */
export interface TokenizerFiles {
  /** tokenizer.json: the whole tokenizer, as the Rust library and transformers 5 save it. */
  readonly tokenizer?: NamedBytes | undefined;
  /** vocab.txt: the vocabulary of WordPiece, one token a line. */
  readonly vocabulary?: NamedBytes | undefined;
  /** tokenizer_config.json: class, special tokens, `do_lower_case`, longest sequence. */
  readonly config?: NamedBytes | undefined;
  /** special_tokens_map.json, which transformers 4 wrote besides. */
  readonly specialTokens?: NamedBytes | undefined;
  /** added_tokens.json: tokens beyond the vocabulary with their ids. */
  readonly addedTokens?: NamedBytes | undefined;
  /** sentence_bert_config.json of sentence-transformers: longest sequence and `do_lower_case`. */
  readonly sentences?: NamedBytes | undefined;
  /** Whether texts are lower-cased, as the model's own file says. */
  readonly lowerCase?: boolean | undefined;
}
