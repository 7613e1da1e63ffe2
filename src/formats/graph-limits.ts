/**
 * Most nodes of a graph and of the functions that it calls: MobileBERT of 24 layers has about 15,000 before TensorFlow
 * simplifies it. A node takes some kilobytes while it is read, and a crafted file can have one in two bytes.
 */
export const MAX_NODES = 200_000;

/** Most inputs and most outputs of a graph: all hidden states, attentions and cached keys of 48 layers are below 300. */
export const MAX_PORTS = 4096;

/** Most axes of a value: models have five or six, TensorFlow's kernels take eight. */
export const MAX_RANK = 32;
