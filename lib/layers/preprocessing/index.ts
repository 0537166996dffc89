import { make } from '../../class_options.js';
import { layerFamily } from '../family.js';
import type { LayerOptions } from '../layer.js';
import * as augmentation from './augmentation.js';
import * as categories from './categories.js';
import { Normalization, type NormalizationOptions } from './normalization.js';
import * as images from './resizing.js';
import * as scaling from './scaling.js';

export {
  type Factor,
  RandomBrightness,
  RandomContrast,
  RandomCrop,
  RandomFlip,
  RandomRotation,
  RandomTranslation,
  RandomZoom,
} from './augmentation.js';
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
  .add(augmentation.RandomBrightness)
  .add(augmentation.RandomContrast)
  .add(augmentation.RandomCrop)
  .add(augmentation.RandomFlip)
  .add(augmentation.RandomRotation)
  .add(augmentation.RandomTranslation)
  .add(augmentation.RandomZoom)
  .add(categories.CategoryEncoding)
  .add(categories.Discretization)
  .add(Normalization)
  .add(images.CenterCrop)
  .add(images.Resizing)
  .add(scaling.Identity)
  .add(scaling.Rescaling);

export const categoryEncoding = (options: categories.CategoryEncodingOptions): categories.CategoryEncoding =>
  make(categories.CategoryEncoding, options);
export const discretization = (options: categories.DiscretizationOptions): categories.Discretization =>
  make(categories.Discretization, options);
export const normalization = (options?: NormalizationOptions): Normalization => make(Normalization, options);
export const centerCrop = (options: images.CenterCropOptions): images.CenterCrop => make(images.CenterCrop, options);
export const resizing = (options: images.ResizingOptions): images.Resizing => make(images.Resizing, options);
export const rescaling = (options: ConstructorParameters<typeof scaling.Rescaling>[0]): scaling.Rescaling =>
  make(scaling.Rescaling, options);
export const identity = (options?: LayerOptions): scaling.Identity => make(scaling.Identity, options);

type Options<C extends abstract new (...args: never[]) => unknown> = ConstructorParameters<C>[0];

export const randomBrightness = (
  options: Options<typeof augmentation.RandomBrightness>,
): augmentation.RandomBrightness => make(augmentation.RandomBrightness, options);
export const randomContrast = (options: Options<typeof augmentation.RandomContrast>): augmentation.RandomContrast =>
  make(augmentation.RandomContrast, options);
export const randomCrop = (options: Options<typeof augmentation.RandomCrop>): augmentation.RandomCrop =>
  make(augmentation.RandomCrop, options);
export const randomFlip = (options?: Options<typeof augmentation.RandomFlip>): augmentation.RandomFlip =>
  make(augmentation.RandomFlip, options);
export const randomRotation = (options: Options<typeof augmentation.RandomRotation>): augmentation.RandomRotation =>
  make(augmentation.RandomRotation, options);
export const randomTranslation = (
  options: Options<typeof augmentation.RandomTranslation>,
): augmentation.RandomTranslation => make(augmentation.RandomTranslation, options);
export const randomZoom = (options: Options<typeof augmentation.RandomZoom>): augmentation.RandomZoom =>
  make(augmentation.RandomZoom, options);
