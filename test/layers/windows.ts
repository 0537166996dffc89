import { type Ref, ref, sizeOf } from './reference.js';

// Convolution and pooling over any number of spatial axes by naive loops: x [N, spatial…, channels].

export interface Slide {
  strides?: number[];
  dilations?: number[];
  padding?: 'valid' | 'same' | 'causal';
  groups?: number;
}

/** Calls visit with every index of a shape. */
function each(shape: readonly number[], visit: (index: number[]) => void): void {
  const index = shape.map(() => 0);
  for (let count = sizeOf(shape); count > 0; count--) {
    visit([...index]);
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis]! === shape[axis]; axis--) index[axis] = 0;
  }
}

const flat = (index: readonly number[], shape: readonly number[]): number =>
  shape.reduce((position, size, i) => position * size + index[i]!, 0);

interface Geometry {
  out: number[];
  /** The input place under tap `tap` of the window at `place`, or undefined in the padding. */
  at: (place: number[], tap: number[]) => number[] | undefined;
}

function geometry(spatial: number[], window: number[], { strides, dilations, padding = 'valid' }: Slide): Geometry {
  const axes = spatial.map((size, i) => {
    const [stride, dilation] = [strides?.[i] ?? 1, dilations?.[i] ?? 1];
    const reach = (window[i]! - 1) * dilation + 1;
    if (padding === 'same') {
      const out = Math.ceil(size / stride);
      return { stride, dilation, out, before: Math.floor(Math.max((out - 1) * stride + reach - size, 0) / 2) };
    }
    const before = padding === 'causal' ? reach - 1 : 0;
    return { stride, dilation, out: Math.floor((size + before - reach) / stride) + 1, before };
  });
  return {
    out: axes.map(({ out }) => out),
    at: (place, tap) => {
      const found = axes.map(({ stride, dilation, before }, i) => place[i]! * stride + tap[i]! * dilation - before);
      return found.every((position, i) => position >= 0 && position < spatial[i]!) ? found : undefined;
    },
  };
}

/** kernel [window…, in / groups, out]. */
export function conv(x: Ref, kernel: Ref, bias: Ref | undefined, slide: Slide = {}): Ref {
  const batch = x.shape[0]!;
  const window = kernel.shape.slice(0, -2);
  const [inner, filters] = kernel.shape.slice(-2) as [number, number];
  const { out, at } = geometry(x.shape.slice(1, -1), window, slide);
  const result = ref(new Float64Array(batch * sizeOf(out) * filters), [batch, ...out, filters]);
  each([batch, ...out, filters], ([n, ...rest]) => {
    const [place, f] = [rest.slice(0, -1), rest.at(-1)!];
    const first = Math.floor(f / (filters / (slide.groups ?? 1))) * inner;
    let sum = bias?.data[f] ?? 0;
    each(window, (tap) => {
      const found = at(place, tap);
      if (!found) return;
      for (let c = 0; c < inner; c++)
        sum += x.data[flat([n!, ...found, first + c], x.shape)]! * kernel.data[flat([...tap, c, f], kernel.shape)]!;
    });
    result.data[flat([n!, ...rest], result.shape)] = sum;
  });
  return result;
}

/** kernel [window…, in, multiplier] as the grouped kernel that means the same. */
export function depthwise(x: Ref, kernel: Ref, bias: Ref | undefined, slide: Slide = {}): Ref {
  const [channels, multiplier] = kernel.shape.slice(-2) as [number, number];
  const grouped = ref(kernel.data, [...kernel.shape.slice(0, -2), 1, channels * multiplier]);
  return conv(x, grouped, bias, { ...slide, groups: channels });
}

/** Every input place adds its kernel to the outputs it reaches; kernel [window…, out, in], `before` places are cut off. */
export function convTranspose(
  x: Ref,
  kernel: Ref,
  bias: Ref | undefined,
  { out, before, strides, dilations }: { out: number[]; before: number[]; strides: number[]; dilations?: number[] },
): Ref {
  const [batch, channels] = [x.shape[0]!, x.shape.at(-1)!];
  const [window, filters] = [kernel.shape.slice(0, -2), kernel.shape.at(-2)!];
  const result = ref(new Float64Array(batch * sizeOf(out) * filters), [batch, ...out, filters]);
  for (let i = 0; i < result.data.length; i++) result.data[i] = bias?.data[i % filters] ?? 0;
  each(x.shape.slice(0, -1), ([n, ...place]) => {
    each(window, (tap) => {
      const to = place.map((p, i) => p * strides[i]! + tap[i]! * (dilations?.[i] ?? 1) - before[i]!);
      if (to.some((p, i) => p < 0 || p >= out[i]!)) return;
      for (let f = 0; f < filters; f++)
        for (let c = 0; c < channels; c++)
          result.data[flat([n!, ...to, f], result.shape)]! +=
            x.data[flat([n!, ...place, c], x.shape)]! * kernel.data[flat([...tap, f, c], kernel.shape)]!;
    });
  });
  return result;
}

export function pool(x: Ref, size: number[], slide: Slide, fold: (values: number[]) => number): Ref {
  const [batch, channels] = [x.shape[0]!, x.shape.at(-1)!];
  const { out, at } = geometry(x.shape.slice(1, -1), size, slide);
  const data: number[] = [];
  each([batch, ...out, channels], ([n, ...rest]) => {
    const values: number[] = [];
    each(size, (tap) => {
      const found = at(rest.slice(0, -1), tap);
      if (found) values.push(x.data[flat([n!, ...found, rest.at(-1)!], x.shape)]!);
    });
    data.push(fold(values));
  });
  return ref(data, [batch, ...out, channels]);
}

/** The axes in another order. */
export function permute(x: Ref, perm: number[]): Ref {
  const shape = perm.map((axis) => x.shape[axis]!);
  const data: number[] = [];
  each(shape, (index) => {
    const from = x.shape.map((_, axis) => index[perm.indexOf(axis)]!);
    data.push(x.data[flat(from, x.shape)]!);
  });
  return ref(data, shape);
}

/** A tensor whose element at an index is what `pick` finds. */
export function build(shape: number[], pick: (index: number[]) => number): Ref {
  const data: number[] = [];
  each(shape, (index) => data.push(pick(index)));
  return ref(data, shape);
}

export const element = (x: Ref, index: number[]): number => x.data[flat(index, x.shape)]!;
