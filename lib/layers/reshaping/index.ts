import { make } from '../../class_options.js';
import { layerFamily } from '../family.js';
import type { LayerOptions } from '../layer.js';
import * as borders from './borders.js';
import * as reshaping from './reshaping.js';
import * as upsampling from './upsampling.js';

export * from './borders.js';
export * from './reshaping.js';
export * from './upsampling.js';

layerFamily
  .add(borders.Cropping1D)
  .add(borders.Cropping2D)
  .add(borders.Cropping3D)
  .add(borders.ZeroPadding1D)
  .add(borders.ZeroPadding2D)
  .add(borders.ZeroPadding3D)
  .add(reshaping.Flatten)
  .add(reshaping.Permute)
  .add(reshaping.Reshape)
  .add(upsampling.RepeatVector)
  .add(upsampling.UpSampling1D)
  .add(upsampling.UpSampling2D)
  .add(upsampling.UpSampling3D);

type Options<C extends abstract new (...args: never[]) => unknown> = ConstructorParameters<C>[0];

export const cropping1d = (options?: Options<typeof borders.Cropping1D>): borders.Cropping1D =>
  make(borders.Cropping1D, options);
export const cropping2d = (options?: borders.CroppingOptions): borders.Cropping2D => make(borders.Cropping2D, options);
export const cropping3d = (options?: borders.CroppingOptions): borders.Cropping3D => make(borders.Cropping3D, options);
export const zeroPadding1d = (options?: borders.ZeroPadding1DOptions): borders.ZeroPadding1D =>
  make(borders.ZeroPadding1D, options);
export const zeroPadding2d = (options?: borders.ZeroPaddingOptions): borders.ZeroPadding2D =>
  make(borders.ZeroPadding2D, options);
export const zeroPadding3d = (options?: borders.ZeroPaddingOptions): borders.ZeroPadding3D =>
  make(borders.ZeroPadding3D, options);
export const flatten = (options?: Options<typeof reshaping.Flatten> & LayerOptions): reshaping.Flatten =>
  make(reshaping.Flatten, options);
export const reshape = (options: Options<typeof reshaping.Reshape>): reshaping.Reshape =>
  make(reshaping.Reshape, options);
export const permute = (options: Options<typeof reshaping.Permute>): reshaping.Permute =>
  make(reshaping.Permute, options);
export const repeatVector = (options: Options<typeof upsampling.RepeatVector>): upsampling.RepeatVector =>
  make(upsampling.RepeatVector, options);
export const upSampling1d = (options?: Options<typeof upsampling.UpSampling1D>): upsampling.UpSampling1D =>
  make(upsampling.UpSampling1D, options);
export const upSampling2d = (options?: upsampling.UpSampling2DOptions): upsampling.UpSampling2D =>
  make(upsampling.UpSampling2D, options);
export const upSampling3d = (options?: upsampling.UpSampling3DOptions): upsampling.UpSampling3D =>
  make(upsampling.UpSampling3D, options);
