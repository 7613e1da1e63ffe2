/** Prefixes that a whole model has before the weights of its encoder, and an encoder that was saved alone has not. */
const PREFIXES = ['bert', 'mobilebert', 'distilbert'];

/** The name under which a checkpoint stores a weight, with the encoder's prefix or without; undefined where it has none. */
export function storedNameOf(name: string, tensors: ReadonlyMap<string, unknown>): string | undefined {
  const names = [name, name.replace(/^[a-z]+\./, ''), ...PREFIXES.map((prefix) => `${prefix}.${name}`)];
  return names.find((each) => tensors.has(each));
}
