import { make } from '../../class_options.js';
import { layerFamily } from '../family.js';
import { BatchNormalization, type BatchNormalizationOptions } from './batch_normalization.js';
import * as layer from './layer_normalization.js';
import { SpectralNormalization, type SpectralNormalizationOptions } from './spectral_normalization.js';

export * from './batch_normalization.js';
export * from './layer_normalization.js';
export { SpectralNormalization, type SpectralNormalizationOptions } from './spectral_normalization.js';

layerFamily
  .add(BatchNormalization)
  .add(layer.GroupNormalization)
  .add(layer.LayerNormalization)
  .add(layer.RMSNormalization)
  .add(SpectralNormalization)
  .add(layer.UnitNormalization);

export const batchNormalization = (options?: BatchNormalizationOptions): BatchNormalization =>
  make(BatchNormalization, options);
export const groupNormalization = (options?: layer.GroupNormalizationOptions): layer.GroupNormalization =>
  make(layer.GroupNormalization, options);
export const layerNormalization = (options?: layer.LayerNormalizationOptions): layer.LayerNormalization =>
  make(layer.LayerNormalization, options);
export const rmsNormalization = (options?: layer.RMSNormalizationOptions): layer.RMSNormalization =>
  make(layer.RMSNormalization, options);
export const unitNormalization = (
  options?: ConstructorParameters<typeof layer.UnitNormalization>[0],
): layer.UnitNormalization => make(layer.UnitNormalization, options);
export const spectralNormalization = (options: SpectralNormalizationOptions): SpectralNormalization =>
  make(SpectralNormalization, options);
