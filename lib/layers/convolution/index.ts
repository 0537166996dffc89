import { make } from '../../class_options.js';
import { layerFamily } from '../family.js';
import * as conv from './conv.js';
import * as depthwise from './depthwise_conv.js';

export * from './conv.js';
export * from './depthwise_conv.js';

layerFamily
  .add(conv.Conv1D, 'Convolution1D')
  .add(conv.Conv2D, 'Convolution2D')
  .add(conv.Conv3D, 'Convolution3D')
  .add(conv.Conv1DTranspose, 'Convolution1DTranspose')
  .add(conv.Conv2DTranspose, 'Convolution2DTranspose')
  .add(conv.Conv3DTranspose, 'Convolution3DTranspose')
  .add(depthwise.DepthwiseConv1D)
  .add(depthwise.DepthwiseConv2D)
  .add(depthwise.SeparableConv1D, 'SeparableConvolution1D')
  .add(depthwise.SeparableConv2D, 'SeparableConvolution2D');

type Transpose = conv.ConvTransposeOptions;
type Depthwise = depthwise.DepthwiseConvOptions;
type Separable = depthwise.SeparableConvOptions;

export const conv1d = (options: conv.ConvOptions): conv.Conv1D => make(conv.Conv1D, options);
export const conv2d = (options: conv.ConvOptions): conv.Conv2D => make(conv.Conv2D, options);
export const conv3d = (options: conv.ConvOptions): conv.Conv3D => make(conv.Conv3D, options);
export const conv1dTranspose = (options: Transpose): conv.Conv1DTranspose => make(conv.Conv1DTranspose, options);
export const conv2dTranspose = (options: Transpose): conv.Conv2DTranspose => make(conv.Conv2DTranspose, options);
export const conv3dTranspose = (options: Transpose): conv.Conv3DTranspose => make(conv.Conv3DTranspose, options);
export const depthwiseConv1d = (options: Depthwise): depthwise.DepthwiseConv1D =>
  make(depthwise.DepthwiseConv1D, options);
export const depthwiseConv2d = (options: Depthwise): depthwise.DepthwiseConv2D =>
  make(depthwise.DepthwiseConv2D, options);
export const separableConv1d = (options: Separable): depthwise.SeparableConv1D =>
  make(depthwise.SeparableConv1D, options);
export const separableConv2d = (options: Separable): depthwise.SeparableConv2D =>
  make(depthwise.SeparableConv2D, options);
