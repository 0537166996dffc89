import { Family } from '../config.js';
import type { Layer } from './layer.js';

/** The closed table of layers that names in files may mean; each group's index adds its own. */
export const layerFamily = new Family<Layer>('layer', 'keras.layers');
