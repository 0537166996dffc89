// keras.ops.image
export { type AffineOptions, affineTransform, type FillMode } from './affine.js';
export {
  cropImages,
  type Interpolation,
  padImages,
  type ResizeOptions,
  resize,
  rgbToGrayscale,
  type Sides,
} from './image.js';
