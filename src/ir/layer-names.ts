/** How checkpoints, exporters and TensorFlow call a layer: `encoder.layer.3`, `encoder/layer_3`, `h.3`. */
const LAYER = /^(?:.*?[./])?(?:layers?|blocks?|h|transformer)[._/]+(\d+)(?!\d)/;

/** The part of a node's name that says which layer it is in: `mobilebert.encoder.layer.3`; undefined where none does. */
export function layerOf(name: string): string | undefined {
  return LAYER.exec(name)?.[0];
}
