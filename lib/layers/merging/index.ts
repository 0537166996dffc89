import { make } from '../../class_options.js';
import type { Tensor } from '../../graph/tensor.js';
import { layerFamily } from '../family.js';
import type { Layer, LayerOptions } from '../layer.js';
import { Dot, type DotOptions } from './dot.js';
import * as merging from './merging.js';

export { Dot, type DotOptions } from './dot.js';
export { Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract } from './merging.js';

layerFamily
  .add(Dot)
  .add(merging.Add)
  .add(merging.Average)
  .add(merging.Concatenate)
  .add(merging.Maximum)
  .add(merging.Minimum)
  .add(merging.Multiply)
  .add(merging.Subtract);

/** `add()` makes a layer, `add([a, b])` applies one, as keras.layers.add does. */
interface Merging<L extends Layer, O> {
  (options?: O): L;
  (inputs: readonly Tensor[], options?: O): Tensor;
}

function merge<L extends Layer, O = LayerOptions>(cls: new (options?: O) => L): Merging<L, O> {
  function layer(first?: O | readonly Tensor[], options?: O): L | Tensor {
    return Array.isArray(first) ? make(cls, options).apply(first as Tensor[]) : make(cls, first as O | undefined);
  }
  return layer as Merging<L, O>;
}

export const add = merge(merging.Add);
export const subtract = merge(merging.Subtract);
export const multiply = merge(merging.Multiply);
export const average = merge(merging.Average);
export const maximum = merge(merging.Maximum);
export const minimum = merge(merging.Minimum);
export const concatenate = merge<merging.Concatenate, LayerOptions & { axis?: number }>(merging.Concatenate);

export function dot(options: DotOptions): Dot;
export function dot(inputs: readonly Tensor[], options: DotOptions): Tensor;
export function dot(first: DotOptions | readonly Tensor[], options?: DotOptions): Dot | Tensor {
  if (Array.isArray(first)) return make(Dot, options!).apply(first as Tensor[]);
  return make(Dot, first as DotOptions);
}
