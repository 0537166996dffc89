import { afterAll, beforeAll, expect, test } from 'vitest';
import { setFloat32MatmulPrecision } from '../../lib/devices.js';
import { type NativeArray, native } from '../../lib/native.js';
import { randomFrom, seedOf, sizeOf } from './case.js';
import { cudaDevice } from './cuda_device.js';

// Products on the tensor cores of the first CUDA device: of floats, whose factors may be rounded to tf32, and of bfloat16.
// Small integers lose nothing, so they come out exactly; real numbers within the bound of the rounding and of a sum in any
// order. Tensor cores cut off what they add where float32 ends (Fasi et al. 2021): twice the error of rounding.

const kinds = {
  tf32: { fit: (x: number) => x, rounding: 2 * 2 ** -11 + 2 ** -22 },
  bfloat16: { fit: toBfloat16, rounding: 0 },
} as const;
type Kind = keyof typeof kinds;

const word = new Float32Array(1);
const bits = new Uint32Array(word.buffer);
function toBfloat16(x: number): number {
  word[0] = x;
  bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000;
  return word[0]!;
}

/** An input as the factor of a product of this kind. */
function factor(graph: InstanceType<typeof native.Graph>, kind: Kind, name: string, shape: Shape) {
  const x = graph.input(name, 'float32', shape);
  if (kind === 'tf32') return { x, read: x };
  const half = graph.op('cast', [x], { dtype: 'bfloat16' })[0]!;
  return { x, read: graph.op('cast', [half], { dtype: 'float32' })[0]! };
}

beforeAll(() => setFloat32MatmulPrecision('high'));
afterAll(() => setFloat32MatmulPrecision('highest'));

type Shape = number[];
type Attributes = Record<string, number | number[]>;

interface Product {
  a: Shape;
  b: Shape;
  attrs?: Attributes;
  /** Sizes of the batch, of the rows and columns of C and of the sum, and where the factors lie. */
  sizes: [batch: number, m: number, n: number, k: number];
  places: (z: number, row: number, column: number, k: number) => [a: number, b: number];
}

function matmul(batch: number, m: number, n: number, k: number, transposeA = false, transposeB = false): Product {
  const axes = batch > 1 ? [batch] : [];
  return {
    a: [...axes, ...(transposeA ? [k, m] : [m, k])],
    b: [...axes, ...(transposeB ? [n, k] : [k, n])],
    attrs: { transposeA: Number(transposeA), transposeB: Number(transposeB) },
    sizes: [batch, m, n, k],
    places: (z, row, column, i) => [
      z * m * k + (transposeA ? i * m + row : row * k + i),
      z * n * k + (transposeB ? column * k + i : i * n + column),
    ],
  };
}

const values = (shape: Shape, integer: boolean, kind: Kind, random: () => number): Float32Array =>
  Float32Array.from({ length: sizeOf(shape) }, () =>
    integer ? Math.floor(random() * 9) - 4 : kinds[kind].fit(random() * 2 - 1),
  );

/** The product in float64, and the sums of magnitudes. */
function reference({ sizes: [batch, m, n, terms], places }: Product, a: NativeArray, b: NativeArray) {
  const sums = new Float64Array(batch * m * n);
  const magnitudes = new Float64Array(batch * m * n);
  for (let z = 0, at = 0; z < batch; ++z) {
    for (let row = 0; row < m; ++row) {
      for (let column = 0; column < n; ++column, ++at) {
        for (let k = 0; k < terms; ++k) {
          const [i, j] = places(z, row, column, k);
          const product = a[i]! * b[j]!;
          sums[at]! += product;
          magnitudes[at]! += Math.abs(product);
        }
      }
    }
  }
  return { sums, magnitudes };
}

function check(
  got: NativeArray,
  sums: Float64Array,
  magnitudes: Float64Array,
  { terms, integer, kind }: { terms: number; integer: boolean; kind: Kind },
) {
  expect(got.length).toBe(sums.length);
  const relative = integer ? 0 : kinds[kind].rounding + terms * 2 ** -23;
  let wrong = '';
  for (let i = 0; i < sums.length && !wrong; ++i) {
    if (!(Math.abs(got[i]! - sums[i]!) <= relative * magnitudes[i]!))
      wrong = `element ${i}: ${got[i]} instead of ${sums[i]}`;
  }
  expect(wrong).toBe('');
}

const products: [string, Product][] = [
  ['one small tile', matmul(1, 8, 10, 16)],
  ['ragged tiles, runs of four', matmul(1, 100, 52, 72)],
  ['ragged tiles, odd strides', matmul(1, 67, 35, 71)],
  ['A transposed', matmul(1, 72, 40, 100, true)],
  ['A transposed, odd strides', matmul(1, 37, 41, 67, true)],
  ['B transposed', matmul(1, 72, 40, 100, false, true)],
  ['B transposed, odd strides', matmul(1, 37, 41, 67, false, true)],
  ['both transposed', matmul(1, 40, 44, 68, true, true)],
  ['batch of small products', matmul(6, 20, 36, 40)],
  ['batch, both kinds of odd strides', matmul(5, 7, 9, 11, false, true)],
  ['batch of middling tiles', matmul(33, 70, 72, 12)],
  ['batch of middling tiles, A transposed', matmul(33, 72, 66, 9, true)],
  ['batch of middling tiles, B transposed', matmul(33, 65, 72, 36, false, true)],
  ['several parts', matmul(1, 20, 12, 2052)],
  ['several parts, odd strides', matmul(1, 33, 33, 2049, true)],
  ['several parts of a batch', matmul(2, 20, 10, 3000, false, true)],
];

const both = <T>(rows: [string, T][]) =>
  (['tf32', 'bfloat16'] as const).flatMap((kind) => rows.map(([name, row]): [Kind, string, T] => [kind, name, row]));

test.skipIf(!cudaDevice).each(both(products))('matmul, %s: %s', { timeout: 120_000 }, async (kind, name, product) => {
  // Many tiles take the emulated grid long, and integers find every wrong place.
  for (const integer of product.sizes[0] > 30 ? [true] : [true, false]) {
    const random = randomFrom(seedOf(name) + Number(integer));
    const a = values(product.a, integer, kind, random);
    const b = values(product.b, integer, kind, random);
    const graph = new native.Graph();
    const x = factor(graph, kind, 'a', product.a).read;
    const y = factor(graph, kind, 'b', product.b).read;
    const program = graph.compileSync([graph.op('matmul', [x, y], product.attrs ?? {})[0]!], cudaDevice);
    const [out] = await program.run([
      { data: a, shape: product.a },
      { data: b, shape: product.b },
    ]).promise;
    const { sums, magnitudes } = reference(product, a, b);
    check(out!.data, sums, magnitudes, { terms: product.sizes[3], integer, kind });
  }
});

// Results of bfloat16, rounded as they are stored: the view keeps the cast back to float32 apart. Whole numbers are exact
// before they are rounded; a bias and relu before that lose nothing either.
const stored: [string, Product][] = products.filter(([, { sizes }]) => sizes[0] < 30);
const endings = ['', 'bias', 'bias and relu', 'gate', 'sine'] as const;
test
  .skipIf(!cudaDevice)
  .each(stored.flatMap(([name, product]) => endings.map((ending) => [name, ending, product] as const)))(
  'matmul rounded to bfloat16, %s: %s',
  { timeout: 120_000 },
  async (name, ending, product) => {
    const random = randomFrom(seedOf(name + ending));
    const [, , n] = product.sizes;
    const inputs = [product.a, product.b, [n]].map((shape) => ({
      data: values(shape, true, 'bfloat16', random),
      shape,
    }));
    const graph = new native.Graph();
    const op = (kind: string, operands: number[], attrs = {}) => graph.op(kind, operands, attrs)[0]!;
    const [a, b, bias] = inputs.map(({ shape }, i) => factor(graph, 'bfloat16', `x${i}`, shape).read);
    let y = op('matmul', [a!, b!], product.attrs);
    if (ending.startsWith('bias')) y = op('add', [y, bias!]);
    if (ending.endsWith('relu')) y = op('relu', [y]);
    if (ending === 'sine') y = op('sin', [y]);
    const shape = [...graph.shape(y)];
    const gates = op('cast', [graph.input('gate', 'float32', [sizeOf(shape)])], { dtype: 'bfloat16' });
    const gate = op('cast', [op('reshape', [gates], { shape })], { dtype: 'float32' });
    if (ending === 'gate') y = op('whenPositive', [gate, y]);
    const half = op('reshape', [op('cast', [y], { dtype: 'bfloat16' })], { shape: [sizeOf(graph.shape(y))] });
    // A bias or gates that nobody else reads stay bound.
    const outputs = [half, gates, op('cast', [bias!], { dtype: 'bfloat16' })].map((x) =>
      op('cast', [x], { dtype: 'float32' }),
    );
    const program = graph.compileSync(outputs, cudaDevice);
    expect(program.describe()).toMatch(product.sizes[0] === 1 ? /halfResult=1/ : /matmul/);
    const open = values(shape, true, 'bfloat16', random);
    const [out] = await program.run([...inputs, { data: open, shape: [sizeOf(shape)] }]).promise;
    const { sums } = reference(product, inputs[0]!.data, inputs[1]!.data);
    let wrong = '';
    for (let i = 0; i < sums.length && !wrong; i++) {
      let want = ending === 'gate' && open[i]! <= 0 ? 0 : sums[i]!;
      if (ending.startsWith('bias')) want += inputs[2]!.data[i % n]!;
      if (ending.endsWith('relu')) want = Math.max(0, want);
      // The sine's own error may carry it over the middle between two neighbours.
      const [least, most] = ending === 'sine' ? [Math.sin(want) - 2 ** -22, Math.sin(want) + 2 ** -22] : [want, want];
      const got = out!.data[i]!;
      if (got < toBfloat16(least) || got > toBfloat16(most))
        wrong = `element ${i}: ${got} instead of ${toBfloat16(want)}`;
    }
    expect(wrong).toBe('');
  },
);

// Tf32 has room for ties, the exponent of float32, and what is not a number.
test.skipIf(!cudaDevice)('factors that are special', async () => {
  const cases = [
    [1 + 2 ** -11, 1 + 2 ** -10],
    [1 + 3 * 2 ** -11, 1 + 2 ** -9],
    [-(1 + 2 ** -11 - 2 ** -23), -1],
    [2 - 2 ** -23, 2],
    [1e-30, Number.NaN],
    [Infinity, Infinity],
    [-Infinity, -Infinity],
    [NaN, NaN],
  ] as const;
  const graph = new native.Graph();
  const x = graph.input('a', 'float32', [cases.length, 1]);
  const y = graph.input('b', 'float32', [1, 1]);
  const program = graph.compileSync([graph.op('matmul', [x, y], {})[0]!], cudaDevice);
  const a = Float32Array.from(cases, ([from]) => from);
  const [out] = await program.run([
    { data: a, shape: [cases.length, 1] },
    { data: Float32Array.of(1), shape: [1, 1] },
  ]).promise;
  for (const [i, [from, to]] of cases.entries()) {
    if (from === 1e-30) expect(Math.abs(out!.data[i]! - from)).toBeLessThanOrEqual(from * 2 ** -11);
    else expect(out!.data[i]).toBe(to);
  }
});

// The three passes of a convolution. Integers: as on the CPU. Real numbers: the CPU's result, which has the error of a
// sum alone, and the sums of magnitudes from the CPU as well.
const convolutions: [string, { x: Shape; w: Shape; attrs: Attributes }][] = [
  ['runs of four', { x: [2, 9, 8, 4], w: [3, 3, 4, 8], attrs: { padding: [1, 1, 1, 1] } }],
  [
    'three channels, strides',
    { x: [2, 11, 10, 3], w: [3, 2, 3, 5], attrs: { strides: [2, 2], padding: [0, 1, 1, 0] } },
  ],
  ['strides and dilations', { x: [1, 14, 13, 8], w: [3, 3, 8, 12], attrs: { strides: [2, 1], dilations: [1, 2] } }],
  ['groups', { x: [2, 7, 7, 16], w: [3, 3, 8, 24], attrs: { groups: 2, padding: [1, 1, 1, 1] } }],
  ['several parts of the filter', { x: [2, 38, 33, 4], w: [1, 2, 4, 6], attrs: {} }],
];

async function passes(
  on: string,
  kind: Kind,
  [x, w]: [Float32Array, Float32Array],
  seed: Float32Array,
  shapes: Shape[],
  a: Attributes,
) {
  const graph = new native.Graph();
  const factors = shapes.slice(0, 2).map((shape, i) => factor(graph, kind, `x${i}`, shape));
  const y = graph.op(
    'conv2d',
    factors.map(({ read }) => read),
    a,
  )[0]!;
  const ids = factors.map((each) => each.x);
  const cotangent = graph.input('cotangent', 'float32', shapes[2]!);
  const program = graph.compileSync([y, ...graph.gradients(y, ids, cotangent)], on);
  const bound = [x, w, seed].map((data, i) => ({ data, shape: shapes[i]! }));
  return (await program.run(bound).promise).map(({ data }) => data);
}

test.skipIf(!cudaDevice).each(both(convolutions))(
  'conv2d, %s: %s',
  { timeout: 120_000 },
  async (kind, name, { x, w, attrs }) => {
    const all = { strides: [1, 1], dilations: [1, 1], padding: [0, 0, 0, 0], groups: 1, ...attrs };
    const graph = new native.Graph();
    const y = graph.op('conv2d', [graph.input('x', 'float32', x), graph.input('w', 'float32', w)], all)[0]!;
    const out = [...graph.shape(y)];
    const terms = [sizeOf(w) / w[3]!, (w[0]! * w[1]! * w[3]!) / (all.groups as number), sizeOf(out) / out[3]!];
    for (const integer of [true, false]) {
      const random = randomFrom(seedOf(name) + Number(integer));
      const inputs: [Float32Array, Float32Array] = [values(x, integer, kind, random), values(w, integer, kind, random)];
      const seed = values(out, integer, kind, random);
      const magnitude = (data: Float32Array) => data.map(Math.abs);
      const got = await passes(cudaDevice, kind, inputs, seed, [x, w, out], all);
      const want = await passes('cpu', kind, inputs, seed, [x, w, out], all);
      const magnitudes = await passes(
        'cpu',
        kind,
        [magnitude(inputs[0]), magnitude(inputs[1])],
        magnitude(seed),
        [x, w, out],
        all,
      );
      // Both results and the magnitudes are sums in float32: thrice their error.
      got.forEach((data, i) => {
        check(data, Float64Array.from(want[i]!), Float64Array.from(magnitudes[i]!), {
          terms: 3 * terms[i]!,
          integer,
          kind,
        });
      });
    }
  },
);
