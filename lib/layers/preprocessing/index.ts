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
  new categories.CategoryEncoding(options);
export const discretization = (options: categories.DiscretizationOptions): categories.Discretization =>
  new categories.Discretization(options);
export const normalization = (options?: NormalizationOptions): Normalization => new Normalization(options);
export const centerCrop = (options: images.CenterCropOptions): images.CenterCrop => new images.CenterCrop(options);
export const resizing = (options: images.ResizingOptions): images.Resizing => new images.Resizing(options);
export const rescaling = (options: ConstructorParameters<typeof scaling.Rescaling>[0]): scaling.Rescaling =>
  new scaling.Rescaling(options);
export const identity = (options?: LayerOptions): scaling.Identity => new scaling.Identity(options);

type Options<C extends abstract new (...args: never[]) => unknown> = ConstructorParameters<C>[0];

export const randomBrightness = (
  options: Options<typeof augmentation.RandomBrightness>,
): augmentation.RandomBrightness => new augmentation.RandomBrightness(options);
export const randomContrast = (options: Options<typeof augmentation.RandomContrast>): augmentation.RandomContrast =>
  new augmentation.RandomContrast(options);
export const randomCrop = (options: Options<typeof augmentation.RandomCrop>): augmentation.RandomCrop =>
  new augmentation.RandomCrop(options);
export const randomFlip = (options?: Options<typeof augmentation.RandomFlip>): augmentation.RandomFlip =>
  new augmentation.RandomFlip(options);
export const randomRotation = (options: Options<typeof augmentation.RandomRotation>): augmentation.RandomRotation =>
  new augmentation.RandomRotation(options);
export const randomTranslation = (
  options: Options<typeof augmentation.RandomTranslation>,
): augmentation.RandomTranslation => new augmentation.RandomTranslation(options);
export const randomZoom = (options: Options<typeof augmentation.RandomZoom>): augmentation.RandomZoom =>
  new augmentation.RandomZoom(options);
