import * as activation from './activation.js';
import { BatchNormalization, type BatchNormalizationOptions } from './batch_normalization.js';
import { Conv2D, type Conv2DOptions } from './conv.js';
import { Dense, type DenseOptions } from './dense.js';
import { Dropout, type DropoutOptions } from './dropout.js';
import { Embedding, type EmbeddingOptions } from './embedding.js';
import { layerFamily } from './family.js';
import { InputLayer, type InputOptions } from './input.js';
import type { LayerOptions } from './layer.js';
import * as merging from './merging.js';
import * as pooling from './pooling.js';
import * as reshaping from './reshaping.js';
import * as scaling from './scaling.js';

export * from './activation.js';
export * from './batch_normalization.js';
export { Conv2D, type Conv2DOptions } from './conv.js';
export * from './dense.js';
export * from './dropout.js';
export * from './embedding.js';
export { type LayerSpec, layerFamily } from './family.js';
export { InputLayer, type InputOptions, input } from './input.js';
export { KernelLayer, type KernelOptions } from './kernel_layer.js';
export {
  type ApplyOptions,
  type CallContext,
  Layer,
  type LayerOptions,
  type TensorStructure,
  type WeightOptions,
} from './layer.js';
export { Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract } from './merging.js';
export * from './pooling.js';
export * from './recurrent/index.js';
export * from './reshaping.js';
export * from './scaling.js';

layerFamily
  .add(activation.Activation)
  .add(activation.ELU)
  .add(activation.LeakyReLU)
  .add(activation.ReLU)
  .add(activation.Softmax)
  .add(BatchNormalization)
  .add(Conv2D, 'Convolution2D')
  .add(Dense)
  .add(Dropout)
  .add(Embedding)
  .add(InputLayer)
  .add(merging.Add)
  .add(merging.Average)
  .add(merging.Concatenate)
  .add(merging.Maximum)
  .add(merging.Minimum)
  .add(merging.Multiply)
  .add(merging.Subtract)
  .add(pooling.AveragePooling2D, 'AvgPool2D')
  .add(pooling.GlobalAveragePooling1D, 'GlobalAvgPool1D')
  .add(pooling.GlobalAveragePooling2D, 'GlobalAvgPool2D')
  .add(pooling.GlobalMaxPooling1D, 'GlobalMaxPool1D')
  .add(pooling.GlobalMaxPooling2D, 'GlobalMaxPool2D')
  .add(pooling.MaxPooling2D, 'MaxPool2D')
  .add(reshaping.Flatten)
  .add(reshaping.Permute)
  .add(reshaping.Reshape)
  .add(scaling.Identity)
  .add(scaling.Rescaling);

type Options<C extends abstract new (...args: never[]) => unknown> = ConstructorParameters<C>[0];

// Factories by Keras's class names, in camelCase.
export const dense = (options: DenseOptions): Dense => new Dense(options);
export const conv2d = (options: Conv2DOptions): Conv2D => new Conv2D(options);
export const maxPooling2d = (options?: pooling.Pooling2DOptions): pooling.MaxPooling2D =>
  new pooling.MaxPooling2D(options);
export const averagePooling2d = (options?: pooling.Pooling2DOptions): pooling.AveragePooling2D =>
  new pooling.AveragePooling2D(options);
export const globalAveragePooling1d = (options?: pooling.GlobalPoolingOptions): pooling.GlobalAveragePooling1D =>
  new pooling.GlobalAveragePooling1D(options);
export const globalAveragePooling2d = (options?: pooling.GlobalPoolingOptions): pooling.GlobalAveragePooling2D =>
  new pooling.GlobalAveragePooling2D(options);
export const globalMaxPooling1d = (options?: pooling.GlobalPoolingOptions): pooling.GlobalMaxPooling1D =>
  new pooling.GlobalMaxPooling1D(options);
export const globalMaxPooling2d = (options?: pooling.GlobalPoolingOptions): pooling.GlobalMaxPooling2D =>
  new pooling.GlobalMaxPooling2D(options);
export const flatten = (options?: LayerOptions): reshaping.Flatten => new reshaping.Flatten(options);
export const reshape = (options: Options<typeof reshaping.Reshape>): reshaping.Reshape =>
  new reshaping.Reshape(options);
export const permute = (options: Options<typeof reshaping.Permute>): reshaping.Permute =>
  new reshaping.Permute(options);
const makeActivation = (options: Options<typeof activation.Activation>): activation.Activation =>
  new activation.Activation(options);

export { makeActivation as activation };
export const relu = (options?: Options<typeof activation.ReLU>): activation.ReLU => new activation.ReLU(options);
export const leakyRelu = (options?: Options<typeof activation.LeakyReLU>): activation.LeakyReLU =>
  new activation.LeakyReLU(options);
export const elu = (options?: Options<typeof activation.ELU>): activation.ELU => new activation.ELU(options);
export const softmax = (options?: Options<typeof activation.Softmax>): activation.Softmax =>
  new activation.Softmax(options);
export const dropout = (options: DropoutOptions): Dropout => new Dropout(options);
export const batchNormalization = (options?: BatchNormalizationOptions): BatchNormalization =>
  new BatchNormalization(options);
export const embedding = (options: EmbeddingOptions): Embedding => new Embedding(options);
export const add = (options?: LayerOptions): merging.Add => new merging.Add(options);
export const subtract = (options?: LayerOptions): merging.Subtract => new merging.Subtract(options);
export const multiply = (options?: LayerOptions): merging.Multiply => new merging.Multiply(options);
export const average = (options?: LayerOptions): merging.Average => new merging.Average(options);
export const maximum = (options?: LayerOptions): merging.Maximum => new merging.Maximum(options);
export const minimum = (options?: LayerOptions): merging.Minimum => new merging.Minimum(options);
export const concatenate = (options?: Options<typeof merging.Concatenate>): merging.Concatenate =>
  new merging.Concatenate(options);
export const rescaling = (options: Options<typeof scaling.Rescaling>): scaling.Rescaling =>
  new scaling.Rescaling(options);
export const identity = (options?: LayerOptions): scaling.Identity => new scaling.Identity(options);
export const inputLayer = (options: InputOptions): InputLayer => new InputLayer(options);
