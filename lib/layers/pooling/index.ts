import { make } from '../../class_options.js';
import { layerFamily } from '../family.js';
import * as adaptive from './adaptive_pooling.js';
import * as global from './global_pooling.js';
import * as pooling from './pooling.js';

export * from './adaptive_pooling.js';
export * from './global_pooling.js';
export * from './pooling.js';

layerFamily
  .add(adaptive.AdaptiveAveragePooling1D)
  .add(adaptive.AdaptiveAveragePooling2D)
  .add(adaptive.AdaptiveAveragePooling3D)
  .add(adaptive.AdaptiveMaxPooling1D)
  .add(adaptive.AdaptiveMaxPooling2D)
  .add(adaptive.AdaptiveMaxPooling3D)
  .add(pooling.AveragePooling1D, 'AvgPool1D')
  .add(pooling.AveragePooling2D, 'AvgPool2D')
  .add(pooling.AveragePooling3D, 'AvgPool3D')
  .add(pooling.MaxPooling1D, 'MaxPool1D')
  .add(pooling.MaxPooling2D, 'MaxPool2D')
  .add(pooling.MaxPooling3D, 'MaxPool3D')
  .add(global.GlobalAveragePooling1D, 'GlobalAvgPool1D')
  .add(global.GlobalAveragePooling2D, 'GlobalAvgPool2D')
  .add(global.GlobalAveragePooling3D, 'GlobalAvgPool3D')
  .add(global.GlobalMaxPooling1D, 'GlobalMaxPool1D')
  .add(global.GlobalMaxPooling2D, 'GlobalMaxPool2D')
  .add(global.GlobalMaxPooling3D, 'GlobalMaxPool3D');

type Options = pooling.PoolingOptions;
type GlobalOptions = global.GlobalPoolingOptions;

export const averagePooling1d = (options?: Options): pooling.AveragePooling1D =>
  make(pooling.AveragePooling1D, options);
export const averagePooling2d = (options?: Options): pooling.AveragePooling2D =>
  make(pooling.AveragePooling2D, options);
export const averagePooling3d = (options?: Options): pooling.AveragePooling3D =>
  make(pooling.AveragePooling3D, options);
export const maxPooling1d = (options?: Options): pooling.MaxPooling1D => make(pooling.MaxPooling1D, options);
export const maxPooling2d = (options?: Options): pooling.MaxPooling2D => make(pooling.MaxPooling2D, options);
export const maxPooling3d = (options?: Options): pooling.MaxPooling3D => make(pooling.MaxPooling3D, options);
export const globalAveragePooling1d = (options?: GlobalOptions): global.GlobalAveragePooling1D =>
  make(global.GlobalAveragePooling1D, options);
export const globalAveragePooling2d = (options?: GlobalOptions): global.GlobalAveragePooling2D =>
  make(global.GlobalAveragePooling2D, options);
export const globalAveragePooling3d = (options?: GlobalOptions): global.GlobalAveragePooling3D =>
  make(global.GlobalAveragePooling3D, options);
export const globalMaxPooling1d = (options?: GlobalOptions): global.GlobalMaxPooling1D =>
  make(global.GlobalMaxPooling1D, options);
export const globalMaxPooling2d = (options?: GlobalOptions): global.GlobalMaxPooling2D =>
  make(global.GlobalMaxPooling2D, options);
export const globalMaxPooling3d = (options?: GlobalOptions): global.GlobalMaxPooling3D =>
  make(global.GlobalMaxPooling3D, options);

type AdaptiveOptions = adaptive.AdaptivePoolingOptions;

export const adaptiveAveragePooling1d = (options: AdaptiveOptions): adaptive.AdaptiveAveragePooling1D =>
  make(adaptive.AdaptiveAveragePooling1D, options);
export const adaptiveAveragePooling2d = (options: AdaptiveOptions): adaptive.AdaptiveAveragePooling2D =>
  make(adaptive.AdaptiveAveragePooling2D, options);
export const adaptiveAveragePooling3d = (options: AdaptiveOptions): adaptive.AdaptiveAveragePooling3D =>
  make(adaptive.AdaptiveAveragePooling3D, options);
export const adaptiveMaxPooling1d = (options: AdaptiveOptions): adaptive.AdaptiveMaxPooling1D =>
  make(adaptive.AdaptiveMaxPooling1D, options);
export const adaptiveMaxPooling2d = (options: AdaptiveOptions): adaptive.AdaptiveMaxPooling2D =>
  make(adaptive.AdaptiveMaxPooling2D, options);
export const adaptiveMaxPooling3d = (options: AdaptiveOptions): adaptive.AdaptiveMaxPooling3D =>
  make(adaptive.AdaptiveMaxPooling3D, options);
