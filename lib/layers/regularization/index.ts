import { make } from '../../class_options.js';
import { layerFamily } from '../family.js';
import * as dropouts from './dropout.js';
import * as noise from './noise.js';

export {
  Dropout,
  type DropoutOptions,
  SpatialDropout1D,
  SpatialDropout2D,
  SpatialDropout3D,
  type SpatialDropoutFormatOptions,
  type SpatialDropoutOptions,
} from './dropout.js';
export * from './noise.js';

layerFamily
  .add(dropouts.Dropout)
  .add(dropouts.SpatialDropout1D)
  .add(dropouts.SpatialDropout2D)
  .add(dropouts.SpatialDropout3D)
  .add(noise.ActivityRegularization)
  .add(noise.AlphaDropout)
  .add(noise.GaussianDropout)
  .add(noise.GaussianNoise);

type Options<C extends abstract new (...args: never[]) => unknown> = ConstructorParameters<C>[0];

export const dropout = (options: dropouts.DropoutOptions): dropouts.Dropout => make(dropouts.Dropout, options);
export const spatialDropout1d = (options: dropouts.SpatialDropoutOptions): dropouts.SpatialDropout1D =>
  make(dropouts.SpatialDropout1D, options);
export const spatialDropout2d = (options: dropouts.SpatialDropoutFormatOptions): dropouts.SpatialDropout2D =>
  make(dropouts.SpatialDropout2D, options);
export const spatialDropout3d = (options: dropouts.SpatialDropoutFormatOptions): dropouts.SpatialDropout3D =>
  make(dropouts.SpatialDropout3D, options);
export const activityRegularization = (
  options?: Options<typeof noise.ActivityRegularization>,
): noise.ActivityRegularization => make(noise.ActivityRegularization, options);
export const alphaDropout = (options: Options<typeof noise.AlphaDropout>): noise.AlphaDropout =>
  make(noise.AlphaDropout, options);
export const gaussianDropout = (options: Options<typeof noise.GaussianDropout>): noise.GaussianDropout =>
  make(noise.GaussianDropout, options);
export const gaussianNoise = (options: Options<typeof noise.GaussianNoise>): noise.GaussianNoise =>
  make(noise.GaussianNoise, options);
