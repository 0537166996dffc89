import { setLayerSupport } from '../activations/index.js';
import { convertLists, convertOptions, Family, type Serialized } from '../config.js';
import { isLayer, type Layer } from './layer.js';

/** What stands for a layer in the options of another (a wrapper): the layer, or its config. */
export type LayerSpec = Layer | Serialized;

/** The closed table of layers that names in files may mean; models add themselves, because they are layers, too. */
export const layerFamily = new Family<Layer>('layer', 'keras.layers');
convertOptions('layer', layerFamily);
convertLists('layers', layerFamily);

export function resolveLayer(spec: LayerSpec): Layer {
  return layerFamily.resolve(spec);
}

setLayerSupport({
  isLayer,
  resolve: (saved) =>
    saved.class_name !== 'function' && layerFamily.classOf(saved.class_name, saved)
      ? layerFamily.resolve(saved)
      : undefined,
  serialize: (layer) => layerFamily.serialize(layer as Layer),
});
