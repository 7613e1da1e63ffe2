/** One MobileBERT layer as its source computes it (hidden 8, intra-bottleneck 4, 2 heads, one extra FFN), NoNorm and ReLU. */
export const MOBILEBERT_LAYER = `graph layer (x: f32[batch, sequence, 8], mask: f32[batch, sequence])
  m0 = sub(one f32[] {1}, mask)
  m1 = mul(m0, low f32[] {-10000})
  bias = reshape(m1) {shape: [batch, 1, 1, sequence]}
  embedded = linear(x, We f32[8, 8] #20, be f32[8] #21)
  start = noNorm(embedded, g0 f32[8] #22, c0 f32[8] #23)
  in0 = linear(start, Wi f32[4, 8] #1, bi f32[4] #2)
  in = noNorm(in0, gi f32[4] #3, ci f32[4] #4)
  sh0 = linear(start, Ws f32[4, 8] #5, bs f32[4] #6)
  sh = noNorm(sh0, gs f32[4] #7, cs f32[4] #8)
  q0 = linear(sh, Wq f32[4, 4] #9, bq f32[4] #a)
  q1 = reshape(q0) {shape: [batch, sequence, 2, 2]}
  q = transpose(q1) {permutation: [0, 2, 1, 3]}
  k0 = linear(sh, Wk f32[4, 4] #b, bk f32[4] #c)
  k1 = reshape(k0) {shape: [batch, sequence, 2, 2]}
  k = transpose(k1) {permutation: [0, 2, 1, 3]}
  v0 = linear(start, Wv f32[4, 8] #d, bv f32[4] #e)
  v1 = reshape(v0) {shape: [batch, sequence, 2, 2]}
  v = transpose(v1) {permutation: [0, 2, 1, 3]}
  s0 = matmul(q, k) {transposeB: true}
  s1 = mul(s0, scale f32[] {0.7071067811865476})
  s2 = add(s1, bias)
  p = softmax(s2)
  o0 = matmul(p, v)
  o1 = transpose(o0) {permutation: [0, 2, 1, 3]}
  o2 = reshape(o1) {shape: [batch, sequence, 4]}
  o3 = linear(o2, Wo f32[4, 4] #f, bo f32[4] #10)
  a0 = add(o3, in)
  a = noNorm(a0, ga f32[4] #11, ca f32[4] #12)
  u0 = linear(a, Wu f32[6, 4] #13, bu f32[6] #14)
  u = relu(u0)
  d = linear(u, Wd f32[4, 6] #15, bd f32[4] #16)
  f0 = add(d, a)
  f = noNorm(f0, gf f32[4] #17, cf f32[4] #18)
  w = linear(f, Ww f32[8, 4] #19, bw f32[8] #1a)
  y0 = add(w, start)
  y = noNorm(y0, gy f32[8] #1b, cy f32[8] #1c)
  h = linear(y, Wh f32[2, 8] #1d, bh f32[2] #1e)
return logits: h`;

/** Attention n of eight heads, from j to rows. */
const attention = (n: number) => `  q${n}0 = slice(j${n}) {axis: 1, start: 0, end: 8}
  q${n}1 = reshape(q${n}0) {shape: [batch, sequence, 8, 1]}
  q${n} = transpose(q${n}1) {permutation: [0, 2, 1, 3]}
  k${n}0 = slice(j${n}) {axis: 1, start: 8, end: 16}
  k${n}1 = reshape(k${n}0) {shape: [batch, sequence, 8, 1]}
  k${n} = transpose(k${n}1) {permutation: [0, 2, 1, 3]}
  v${n}0 = slice(j${n}) {axis: 1, start: 16, end: 24}
  v${n}1 = reshape(v${n}0) {shape: [batch, sequence, 8, 1]}
  v${n} = transpose(v${n}1) {permutation: [0, 2, 1, 3]}
  s${n} = matmul(q${n}, k${n}) {transposeB: true}
  masked${n} = add(s${n}, bias)
  p${n} = softmax(masked${n})
  c${n} = matmul(p${n}, v${n})
  join${n} = transpose(c${n}) {permutation: [0, 2, 1, 3]}
  rows${n} = reshape(join${n}) {shape: [batch*sequence, 8]}`;

/** Two attentions of eight heads on flat tokens, the one behind a scaled norm, the other on tokens divided by their peaks. */
export const HEADS = `graph heads (x: f32[batch, sequence, 8], mask: f32[batch, sequence])
  m1 = mul(mask, low f32[] {-10})
  bias = reshape(m1) {shape: [batch, 1, 1, sequence]}
  n = layerNorm(x, g f32[8] #1, c f32[8] #2)
  quiet = mul(n, t f32[8] #3)
  read0 = reshape(quiet) {shape: [batch*sequence, 8]}
  j0 = linear(read0, w0 f32[24, 8] #4, b0 f32[24] #5)
${attention(0)}
  beside = reshape(n) {shape: [batch*sequence, 8]}
  r = add(rows0, beside)
  squares = mul(r, r)
  largest = max(squares) {axis: -1, keepDims: true}
  peak = sqrt(largest)
  by_peak = div(r, peak)
  part = linear(by_peak, w1 f32[24, 8] #6)
  scaled = mul(part, peak)
  j1 = add(scaled, b1 f32[24] #7)
${attention(1)}
  sum = add(rows1, r)
  y = reshape(sum) {shape: [batch, sequence, 8]}
return y: y`;

/** Scores by distance as exporters look them up: three tokens, a table of four rows, distances of 1 and 2 share the last. */
export const DISTANCES = `graph distances (x: f32[batch, 3, 5])
  scores = matmul(x, table f32[1, 4, 5] #1) {transposeB: true}
  flat = reshape(scores) {shape: [batch, 12]}
  y = gather(flat, places i32[3, 3] {2, 1, 0, 7, 6, 5, 11, 11, 10}) {axis: 1}
return y: y`;

/** The trigram front: the embedding of the next token, the token and the previous one, then a linear. */
export const TRIGRAM = `graph trigram (ids: i32[1, 6])
  e = gather(table f32[9, 4] #1, ids)
  next = shift(e) {offset: 1}
  previous = shift(e) {offset: -1}
  all = concat(next, e, previous)
  y = linear(all, w f32[8, 12] #2, b f32[8] #3)
return y: y`;

/** Constants that can be computed, and two that are equal. */
export const CONSTANTS = `graph constants (x: f32[2, 3])
  t = transpose(w f32[4, 3] #1) {permutation: [1, 0]}
  u = transpose(t) {permutation: [1, 0]}
  a = linear(x, u)
  b = add(a, one f32[4] {1, 2, 3, 4})
  c = add(b, same f32[4] {1, 2, 3, 4})
  d = relu(c)
return d: d`;

/** Values and a constant that are stored as unsigned integers, as other tools quantize. */
export const QUANTIZED = `graph quantized (x: f32[2, 3])
  q = quantize(x)  u8[2, 3] q(0.02, 100)
  y = add(q, c u8[3] q(0.5, 2) {1, 2, 3})  u8[2, 3] q(0.05, 120)
  z = dequantize(y)
return z: z`;

/** A last layer of which a classifier reads the first token: two heads, a residual and a norm. */
export const CLASSIFIER = `graph classifier (x: f32[batch, sequence, 4], mask: f32[batch, 1, 1, sequence])
  stem = layerNorm(x, g0 f32[4] #1, c0 f32[4] #2)
  q0 = linear(stem, Wq f32[4, 4] #3, bq f32[4] #4)
  q1 = reshape(q0) {shape: [batch, sequence, 2, 2]}
  q = transpose(q1) {permutation: [0, 2, 1, 3]}
  k0 = linear(stem, Wk f32[4, 4] #5)
  k1 = reshape(k0) {shape: [batch, sequence, 2, 2]}
  k = transpose(k1) {permutation: [0, 2, 1, 3]}
  v0 = linear(stem, Wv f32[4, 4] #6)
  v1 = reshape(v0) {shape: [batch, sequence, 2, 2]}
  v = transpose(v1) {permutation: [0, 2, 1, 3]}
  s0 = matmul(q, k) {transposeB: true}
  s1 = add(s0, mask)
  p = softmax(s1)
  o0 = matmul(p, v)
  o1 = transpose(o0) {permutation: [0, 2, 1, 3]}
  o2 = reshape(o1) {shape: [batch, sequence, 4]}
  o3 = linear(o2, Wo f32[4, 4] #7, bo f32[4] #8)
  o4 = add(o3, stem)
  last = layerNorm(o4, g1 f32[4] #9, c1 f32[4] #a)
  first = slice(last) {axis: 1, end: 1}
  pooled = reshape(first) {shape: [batch, 4]}
  logits = linear(pooled, W f32[2, 4] #b, b f32[2] #c)
return logits: logits`;

export const SAMPLE_GRAPHS = { MOBILEBERT_LAYER, HEADS, DISTANCES, TRIGRAM, CONSTANTS, QUANTIZED, CLASSIFIER };
