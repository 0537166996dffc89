/** Plain float64 tensors and naive loops: the oracle of the layer tests. */
export interface Ref {
  data: number[];
  shape: number[];
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
export const ref = (data: ArrayLike<number>, shape: readonly number[]): Ref => ({
  data: Array.from(data),
  shape: [...shape],
});

/** Elementwise, with `fn` of the value and its index on the last axis. */
export function map(x: Ref, fn: (value: number, last: number) => number): Ref {
  const width = x.shape.at(-1) ?? 1;
  return ref(
    x.data.map((value, i) => fn(value, i % width)),
    x.shape,
  );
}

/** Rows on the last axis, mapped one by one. */
export function mapRows(x: Ref, fn: (row: number[]) => number[]): Ref {
  const width = x.shape.at(-1)!;
  const data: number[] = [];
  let out = 0;
  for (let i = 0; i < x.data.length; i += width) {
    const row = fn(x.data.slice(i, i + width));
    out = row.length;
    data.push(...row);
  }
  return ref(data, [...x.shape.slice(0, -1), out]);
}

export function dense(x: Ref, kernel: Ref, bias: Ref | undefined, activation = (v: number) => v): Ref {
  const units = kernel.shape[1]!;
  return mapRows(x, (row) =>
    Array.from({ length: units }, (_, j) =>
      activation(row.reduce((sum, v, i) => sum + v * kernel.data[i * units + j]!, bias?.data[j] ?? 0)),
    ),
  );
}

export interface Window {
  strides?: [number, number];
  dilations?: [number, number];
  padding?: 'valid' | 'same';
}

function geometry(
  size: number,
  window: number,
  stride: number,
  dilation: number,
  padding: 'valid' | 'same',
): { out: number; before: number } {
  const extent = (window - 1) * dilation + 1;
  if (padding === 'valid') return { out: Math.floor((size - extent) / stride) + 1, before: 0 };
  const out = Math.ceil(size / stride);
  return { out, before: Math.floor(Math.max((out - 1) * stride + extent - size, 0) / 2) };
}

/** Calls `visit` for every output place with the input places under its window. */
function windows(
  x: Ref,
  size: [number, number],
  { strides = [1, 1], dilations = [1, 1], padding = 'valid' }: Window,
  visit: (n: number, places: [number, number, number, number][]) => void,
): [number, number] {
  const [batch, height, width] = x.shape as [number, number, number, number];
  const rows = geometry(height, size[0], strides[0], dilations[0], padding);
  const columns = geometry(width, size[1], strides[1], dilations[1], padding);
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < rows.out; i++) {
      for (let j = 0; j < columns.out; j++) {
        const places: [number, number, number, number][] = [];
        for (let a = 0; a < size[0]; a++) {
          for (let b = 0; b < size[1]; b++) {
            const y = i * strides[0] + a * dilations[0] - rows.before;
            const z = j * strides[1] + b * dilations[1] - columns.before;
            if (y >= 0 && y < height && z >= 0 && z < width) places.push([y, z, a, b]);
          }
        }
        visit(n, places);
      }
    }
  }
  return [rows.out, columns.out];
}

export function conv2d(x: Ref, kernel: Ref, bias: Ref | undefined, options: Window & { groups?: number } = {}): Ref {
  const [kh, kw, inner, filters] = kernel.shape as [number, number, number, number];
  const [batch, , width, channels] = x.shape as [number, number, number, number];
  const perGroup = filters / (options.groups ?? 1);
  const data: number[] = [];
  const height = x.shape[1]!;
  const [oh, ow] = windows(x, [kh, kw], options, (n, places) => {
    for (let f = 0; f < filters; f++) {
      const first = Math.floor(f / perGroup) * inner;
      let sum = bias?.data[f] ?? 0;
      for (const [y, z, a, b] of places) {
        for (let c = 0; c < inner; c++)
          sum +=
            x.data[((n * height + y) * width + z) * channels + first + c]! *
            kernel.data[((a * kw + b) * inner + c) * filters + f]!;
      }
      data.push(sum);
    }
  });
  return ref(data, [batch, oh, ow, filters]);
}

export function pool2d(x: Ref, size: [number, number], options: Window, fold: (values: number[]) => number): Ref {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const data: number[] = [];
  const [oh, ow] = windows(x, size, options, (n, places) => {
    for (let c = 0; c < channels; c++)
      data.push(fold(places.map(([y, z]) => x.data[((n * height + y) * width + z) * channels + c]!)));
  });
  return ref(data, [batch, oh, ow, channels]);
}

export const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Folds all axes between the first and the last. */
export function global(x: Ref, fold: (values: number[]) => number): Ref {
  const [batch, channels] = [x.shape[0]!, x.shape.at(-1)!];
  const steps = x.data.length / batch / channels;
  const data = Array.from({ length: batch * channels }, (_, k) => {
    const [n, c] = [Math.floor(k / channels), k % channels];
    return fold(Array.from({ length: steps }, (_, s) => x.data[(n * steps + s) * channels + c]!));
  });
  return ref(data, [batch, channels]);
}

export const softmax = (row: number[]): number[] => {
  const peak = Math.max(...row);
  const exps = row.map((v) => Math.exp(v - peak));
  const total = exps.reduce((a, b) => a + b, 0);
  return exps.map((v) => v / total);
};

/** Error function to about 1e-15, by its series. */
export function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 200; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
