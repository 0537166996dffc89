import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { shapeText } from '../ndarray.js';
import { transpose } from './shape.js';

/** A number for every spatial axis, or one for each. */
export type Size = number | readonly number[];
export type Padding = 'valid' | 'same';
/** Zeros before and after each spatial axis. */
export type Margins = readonly (readonly [number, number])[];
/** Where the channels of [N, …] stand; Keras's snake_case is understood. */
export type DataFormat = 'channelsLast' | 'channelsFirst' | 'channels_last' | 'channels_first';

export const isChannelsFirst = (format: DataFormat | undefined): boolean =>
  format === 'channelsFirst' || format === 'channels_first';

/** One entry for each of `rank` spatial axes. */
export function perAxis(op: string, name: string, value: Size, rank: number): number[] {
  const list = typeof value === 'number' ? Array<number>(rank).fill(value) : [...value];
  if (list.length === rank) return list;
  throw new ChainruleError('ERR_CHAINRULE_SHAPE', `${op}: ${name} must be a number or ${rank} of them, got [${list}].`);
}

/** The number of spatial axes of [N, spatial…, channels]: 1, 2 or 3. */
export function spatialRank(op: string, x: Tensor): number {
  const rank = x.rank - 2;
  if (rank >= 1 && rank <= 3) return rank;
  throw new ChainruleError(
    'ERR_CHAINRULE_SHAPE',
    `${op}: expected 3, 4 or 5 dimensions (batch, 1 to 3 spatial axes, channels), got shape ${shapeText(x.shape)}.`,
  );
}

/** Runs a function of [N, spatial…, channels] on either format: kernels know channels last only. */
export function inChannelsLast(x: Tensor, format: DataFormat | undefined, fn: (x: Tensor) => Tensor): Tensor {
  return isChannelsFirst(format) ? channelsToFirst(fn(channelsToLast(x))) : fn(x);
}

/** [N, channels, spatial…] → [N, spatial…, channels]. */
export function channelsToLast(x: Tensor): Tensor {
  const spatial = x.dims.map((_, i) => i).slice(2);
  return transpose(x, [0, ...spatial, 1]);
}

/** [N, spatial…, channels] → [N, channels, spatial…]. */
export function channelsToFirst(x: Tensor): Tensor {
  const spatial = x.dims.map((_, i) => i).slice(1, -1);
  return transpose(x, [0, x.rank - 1, ...spatial]);
}

/** TensorFlow's rule: what `same` adds before and after an axis; the odd pixel goes to the end. */
export function samePadding(size: number, window: number, stride: number, dilation = 1): [number, number] {
  const out = Math.ceil(size / stride);
  const total = Math.max((out - 1) * stride + (window - 1) * dilation + 1 - size, 0);
  return [Math.floor(total / 2), total - Math.floor(total / 2)];
}

/** The margins of each spatial axis of [N, spatial…, channels]. */
export function margins(
  op: string,
  x: Tensor,
  window: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
  padding: Padding | Margins,
): [number, number][] {
  if (Array.isArray(padding)) return (padding as Margins).map(([before, after]) => [before, after]);
  if (padding === 'valid') return window.map(() => [0, 0]);
  if (padding !== 'same')
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `${op}: padding must be "valid" or "same", got "${String(padding)}".`,
    );
  return window.map((size, i) => samePadding(knownAxis(op, x, i + 1), size, strides[i]!, dilations[i]!));
}

function knownAxis(op: string, x: Tensor, axis: number): number {
  const size = x.dims[axis]!;
  if (size >= 0) return size;
  throw new ChainruleError(
    'ERR_CHAINRULE_SHAPE',
    `${op}: spatial axes must have known sizes, got ${shapeText(x.shape)}.`,
  );
}
