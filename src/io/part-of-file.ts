/** Bytes of the largest file of samples that is read whole: a text of it is half of the longest string that V8 makes. */
export const MAX_WHOLE_BYTES = 2 ** 28;

/** Bytes that are read of a larger one: some hundred thousand sentences, or 60,000 sequences of 512 tokens. */
export const HEAD_BYTES = 2 ** 26;
