import { ChainruleError } from '../errors.js';
import { emit } from '../graph/emit.js';
import type { Tensor } from '../graph/tensor.js';
import { shapeText } from '../ndarray.js';
import { add } from './math.js';
import { float, type Operand, tensor } from './operands.js';
import { at, pad, reshapeDims, strided } from './shape.js';
import {
  type DataFormat,
  inChannelsLast,
  type Margins,
  margins,
  type Padding,
  perAxis,
  type Size,
  spatialRank,
} from './window.js';

// The engine convolves images; a line is an image of one row, and a volume is a sum over the taps along its depth.

export interface ConvOptions {
  /** Default 1. */
  strides?: Size;
  /** 'valid', 'same', or the zeros before and after each spatial axis. Default 'valid'. */
  padding?: Padding | Margins;
  /** Default 1. */
  dilationRate?: Size;
  /** Default 1. */
  groups?: number;
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
}

interface Geometry {
  strides: number[];
  dilations: number[];
  padding: [number, number][];
}

/**
 * Convolution over 1, 2 or 3 spatial axes: x [N, spatial…, in], kernel [window…, in / groups, out]
 * (https://keras.io/api/ops/nn/).
 */
export function conv(x: Operand, kernel: Operand, options: ConvOptions = {}): Tensor {
  const { strides = 1, padding = 'valid', dilationRate = 1, groups = 1, dataFormat } = options;
  const weights = tensor(kernel);
  return inChannelsLast(float(x), dataFormat, (value) => {
    const rank = kernelRank('conv', value, weights);
    const geometry = geometryOf('conv', value, weights.dims.slice(0, rank), strides, dilationRate, padding);
    if (rank === 3) return volume(value, weights, geometry, groups);
    if (rank === 2) return image(value, weights, geometry, groups);
    return fromImage(image(asImage(value), reshapeDims(weights, [1, ...weights.dims]), asPlane(geometry), groups));
  });
}

/** A convolution of images with int8 weights [window · in, out] and a scale for each column; every image is quantized, too. */
export function convInt8(
  x: Operand,
  weights: Operand,
  scale: Operand,
  kernelSize: readonly number[],
  { strides = 1, padding = 'valid', dilationRate = 1, dataFormat }: Omit<ConvOptions, 'groups'>,
): Tensor {
  return inChannelsLast(float(x), dataFormat, (value) => {
    const geometry = geometryOf('conv', value, kernelSize, strides, dilationRate, padding);
    const { groups: _, ...attrs } = attributes(geometry, 1);
    return emit('conv2dInt8', [value, weights, scale], { ...attrs, window: kernelSize });
  });
}

/** Each channel with its own filters: x [N, spatial…, in], kernel [window…, in, multiplier] → in · multiplier channels. */
export function depthwiseConv(x: Operand, kernel: Operand, options: Omit<ConvOptions, 'groups'> = {}): Tensor {
  const weights = tensor(kernel);
  const [channels, multiplier] = weights.dims.slice(-2) as [number, number];
  const grouped = reshapeDims(weights, [...weights.dims.slice(0, -2), 1, channels * multiplier]);
  return conv(x, grouped, { ...options, groups: channels });
}

/** A depthwise convolution and a 1 × 1 convolution over the channels that it gives. */
export function separableConv(
  x: Operand,
  depthwiseKernel: Operand,
  pointwiseKernel: Operand,
  options: Omit<ConvOptions, 'groups'> = {},
): Tensor {
  const { dataFormat } = options;
  return conv(depthwiseConv(x, depthwiseKernel, options), pointwiseKernel, { dataFormat });
}

export interface ConvTransposeOptions {
  strides?: Size;
  padding?: Padding;
  /** What the output is longer than the shortest that the strides allow; by default it has in · stride places or, valid, all. */
  outputPadding?: Size;
  dilationRate?: Size;
  dataFormat?: DataFormat;
}

/** The transposed convolution (the gradient of a convolution): x [N, spatial…, in], kernel [window…, out, in]. */
export function convTranspose(x: Operand, kernel: Operand, options: ConvTransposeOptions = {}): Tensor {
  const { strides = 1, padding = 'valid', outputPadding, dilationRate = 1, dataFormat } = options;
  const weights = tensor(kernel);
  return inChannelsLast(float(x), dataFormat, (value) => {
    const rank = kernelRank('convTranspose', value, weights);
    const extra =
      outputPadding === undefined ? undefined : perAxis('convTranspose', 'outputPadding', outputPadding, rank);
    const stride = perAxis('convTranspose', 'strides', strides, rank);
    const dilations = perAxis('convTranspose', 'dilationRate', dilationRate, rank);
    const grown = stride.map((step, i) =>
      transposedAxis(value.dims[i + 1]!, (weights.dims[i]! - 1) * dilations[i]! + 1, step, padding, extra?.[i]),
    );
    const sizes = grown.map(({ size }) => size);
    const geometry = { strides: stride, dilations, padding: grown.map(({ margin }) => margin) };
    if (rank === 3) return volumeTranspose(value, weights, sizes, geometry);
    if (rank === 2) return imageTranspose(value, weights, sizes, geometry);
    const kernel2d = reshapeDims(weights, [1, ...weights.dims]);
    return fromImage(imageTranspose(asImage(value), kernel2d, [1, ...sizes], asPlane(geometry)));
  });
}

/** Keras's rule for the size of a transposed axis, and the margins of the convolution that it reverses. */
function transposedAxis(
  input: number,
  window: number,
  stride: number,
  padding: Padding,
  extra: number | undefined,
): { size: number; margin: [number, number] } {
  const same = padding === 'same';
  const least = (input - 1) * stride;
  let [size, before] = [least + window + (extra ?? Math.max(stride - window, 0)), 0];
  if (same) {
    size = extra === undefined ? input * stride : least + (window % 2) + extra;
    const left = extra === undefined ? stride + window - 2 : window + (window % 2) - 2 + extra;
    before = window - 1 - Math.min(Math.ceil(left / 2), window - 1);
  }
  return { size, margin: [before, Math.max(least + window - size - before, 0)] };
}

function kernelRank(op: string, x: Tensor, kernel: Tensor): number {
  const rank = spatialRank(op, x);
  if (kernel.rank === x.rank) return rank;
  throw new ChainruleError(
    'ERR_CHAINRULE_SHAPE',
    `${op}: an input ${shapeText(x.shape)} needs a kernel of ${x.rank} dimensions, got ${shapeText(kernel.shape)}.`,
  );
}

function geometryOf(
  op: string,
  x: Tensor,
  window: readonly number[],
  strides: Size,
  dilationRate: Size,
  padding: Padding | Margins,
): Geometry {
  const rank = window.length;
  const [step, dilations] = [perAxis(op, 'strides', strides, rank), perAxis(op, 'dilationRate', dilationRate, rank)];
  return { strides: step, dilations, padding: margins(op, x, window, step, dilations, padding) };
}

const attributes = ({ strides, dilations, padding }: Geometry, groups: number) => ({
  strides,
  dilations,
  padding: padding.flat(),
  groups,
});

const image = (x: Tensor, kernel: Tensor, geometry: Geometry, groups: number): Tensor =>
  emit('conv2d', [x, kernel], attributes(geometry, groups));

/** The input gradient of conv2d: from its outputs `x` back to its inputs. */
const imageTranspose = (x: Tensor, kernel: Tensor, sizes: readonly number[], geometry: Geometry): Tensor =>
  emit('conv2dInput', [x, kernel], {
    ...attributes(geometry, 1),
    shape: [x.dims[0]!, ...sizes, kernel.dims[2]!],
  });

// A line [N, length, channels] as an image of one row, and back.
const asImage = (x: Tensor): Tensor => reshapeDims(x, [x.dims[0]!, 1, ...x.dims.slice(1)]);
const fromImage = (x: Tensor): Tensor => reshapeDims(x, [x.dims[0]!, ...x.dims.slice(2)]);
const asPlane = ({ strides, dilations, padding }: Geometry): Geometry => ({
  strides: [1, ...strides],
  dilations: [1, ...dilations],
  padding: [[0, 0], ...padding],
});
/** The geometry without the depth. */
const plane = ({ strides, dilations, padding }: Geometry): Geometry => ({
  strides: strides.slice(1),
  dilations: dilations.slice(1),
  padding: padding.slice(1),
});

// The slices of a volume [N, depth, …] as a batch of images [N · depth, …], and back.
const slices = (x: Tensor): Tensor => reshapeDims(x, [x.dims[0]! * x.dims[1]!, ...x.dims.slice(2)]);
const volumes = (x: Tensor, depth: number): Tensor => reshapeDims(x, [x.dims[0]! / depth, depth, ...x.dims.slice(1)]);

function volume(x: Tensor, kernel: Tensor, geometry: Geometry, groups: number): Tensor {
  const [step, dilation, margin] = [geometry.strides[0]!, geometry.dilations[0]!, geometry.padding[0]!];
  const padded = margin[0] + margin[1] === 0 ? x : pad(x, [[0, 0], margin, [0, 0], [0, 0], [0, 0]]);
  const reach = (kernel.dims[0]! - 1) * dilation;
  const depth = Math.floor((padded.dims[1]! - reach - 1) / step) + 1;
  if (depth < 1)
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `conv: a window of ${reach + 1} does not fit into the depth of ${shapeText(x.shape)}. Use a smaller kernel or padding "same".`,
    );
  const taps = Array.from({ length: kernel.dims[0]! }, (_, tap) => {
    const begin = tap * dilation;
    const layer = strided(padded, 1, begin, begin + (depth - 1) * step + 1, step);
    return image(slices(layer), at(kernel, tap), plane(geometry), groups);
  });
  return volumes(
    taps.reduce((sum, tap) => add(sum, tap)),
    depth,
  );
}

function volumeTranspose(x: Tensor, kernel: Tensor, sizes: readonly number[], geometry: Geometry): Tensor {
  const [step, dilation, [before]] = [geometry.strides[0]!, geometry.dilations[0]!, geometry.padding[0]!];
  const [depth, flat] = [x.dims[1]!, slices(x)];
  // Tap by tap into a depth that holds every place that a tap reaches, then cut to what is asked for.
  const reach = (depth - 1) * step + (kernel.dims[0]! - 1) * dilation + 1;
  const whole = Math.max(reach, before + sizes[0]!);
  const taps = Array.from({ length: kernel.dims[0]! }, (_, tap) => {
    const layer = volumes(imageTranspose(flat, at(kernel, tap), sizes.slice(1), plane(geometry)), depth);
    return emit('sliceGradient', [layer], {
      axes: [1],
      begin: [tap * dilation],
      size: [depth],
      strides: [step],
      shape: [layer.dims[0]!, whole, ...layer.dims.slice(2)],
    });
  });
  return strided(
    taps.reduce((sum, tap) => add(sum, tap)),
    1,
    before,
    before + sizes[0]!,
  );
}
