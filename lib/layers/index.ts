import { make } from '../class_options.js';
import * as activation from './activation.js';
import { Dense, type DenseOptions } from './dense.js';
import { EinsumDense, type EinsumDenseOptions } from './einsum_dense.js';
import { Embedding, type EmbeddingOptions } from './embedding.js';
import { layerFamily } from './family.js';
import { InputLayer, type InputOptions } from './input.js';
import { Lambda, type LambdaOptions } from './lambda.js';
import { Masking } from './masking.js';

export * from './activation.js';
export * from './attention/index.js';
export * from './convolution/index.js';
export * from './dense.js';
export { EinsumDense, type EinsumDenseOptions } from './einsum_dense.js';
export * from './embedding.js';
export { type LayerSpec, layerFamily } from './family.js';
export { InputLayer, type InputOptions, input } from './input.js';
export { KernelLayer, type KernelOptions } from './kernel_layer.js';
export { Lambda, type LambdaOptions } from './lambda.js';
export {
  type ApplyOptions,
  type CallContext,
  Layer,
  type LayerOptions,
  type TensorStructure,
  type WeightOptions,
} from './layer.js';
export { Masking } from './masking.js';
export * from './merging/index.js';
export * from './normalization/index.js';
export * from './pooling/index.js';
export * from './preprocessing/index.js';
export * from './recurrent/index.js';
export * from './regularization/index.js';
export * from './reshaping/index.js';
export * from './text/index.js';

// The groups in folders add their own.
layerFamily
  .add(activation.Activation)
  .add(activation.ELU)
  .add(activation.LeakyReLU)
  .add(activation.PReLU)
  .add(activation.ReLU)
  .add(activation.Softmax)
  .add(Dense)
  .add(EinsumDense)
  .add(Embedding)
  .add(InputLayer)
  .add(Lambda)
  .add(Masking);

type Options<C extends abstract new (...args: never[]) => unknown> = ConstructorParameters<C>[0];

// Factories by Keras's class names, in camelCase.
export const dense = (options: DenseOptions): Dense => make(Dense, options);
const makeActivation = (options: Options<typeof activation.Activation>): activation.Activation =>
  make(activation.Activation, options);

export { makeActivation as activation };
export const relu = (options?: Options<typeof activation.ReLU>): activation.ReLU => make(activation.ReLU, options);
export const leakyRelu = (options?: Options<typeof activation.LeakyReLU>): activation.LeakyReLU =>
  make(activation.LeakyReLU, options);
export const elu = (options?: Options<typeof activation.ELU>): activation.ELU => make(activation.ELU, options);
export const softmax = (options?: Options<typeof activation.Softmax>): activation.Softmax =>
  make(activation.Softmax, options);
export const prelu = (options?: activation.PReLUOptions): activation.PReLU => make(activation.PReLU, options);
export const lambda = (options: LambdaOptions): Lambda => make(Lambda, options);
export const masking = (options?: Options<typeof Masking>): Masking => make(Masking, options);
export const einsumDense = (options: EinsumDenseOptions): EinsumDense => make(EinsumDense, options);
export const embedding = (options: EmbeddingOptions): Embedding => make(Embedding, options);
export const inputLayer = (options: InputOptions): InputLayer => make(InputLayer, options);
