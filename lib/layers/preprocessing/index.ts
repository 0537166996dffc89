import { layerFamily } from '../family.js';
import type { LayerOptions } from '../layer.js';
import * as categories from './categories.js';
import { Normalization, type NormalizationOptions } from './normalization.js';
import * as images from './resizing.js';
import * as scaling from './scaling.js';

export {
  CategoryEncoding,
  type CategoryEncodingOptions,
  Discretization,
  type DiscretizationOptions,
} from './categories.js';
export * from './normalization.js';
export * from './resizing.js';
export * from './scaling.js';

layerFamily
  .add(categories.CategoryEncoding)
  .add(categories.Discretization)
  .add(Normalization)
  .add(images.CenterCrop)
  .add(images.Resizing)
  .add(scaling.Identity)
  .add(scaling.Rescaling);

export const categoryEncoding = (options: categories.CategoryEncodingOptions): categories.CategoryEncoding =>
  new categories.CategoryEncoding(options);
export const discretization = (options: categories.DiscretizationOptions): categories.Discretization =>
  new categories.Discretization(options);
export const normalization = (options?: NormalizationOptions): Normalization => new Normalization(options);
export const centerCrop = (options: images.CenterCropOptions): images.CenterCrop => new images.CenterCrop(options);
export const resizing = (options: images.ResizingOptions): images.Resizing => new images.Resizing(options);
export const rescaling = (options: ConstructorParameters<typeof scaling.Rescaling>[0]): scaling.Rescaling =>
  new scaling.Rescaling(options);
export const identity = (options?: LayerOptions): scaling.Identity => new scaling.Identity(options);
