import {
  type Bound,
  type DType,
  type NativeArray,
  type NativeGraph,
  type NativeProgram,
  native,
} from '../../lib/native.js';
import {
  type Argument,
  type Attrs,
  decode,
  type Fill,
  integers,
  type OpCase,
  randomFrom,
  seedOf,
  sizeOf,
  type Values,
} from './case.js';

// Turns a row of the table into programs of the engine, and its fills into the arrays that go in.

export const nameOf = (row: { op: string; about: string }): string => `${row.op}: ${row.about}`;

export const arrayOf = (dtype: DType, data: ArrayLike<number>): NativeArray =>
  dtype === 'float32' || dtype === 'bfloat16'
    ? Float32Array.from(data)
    : dtype === 'int32'
      ? Int32Array.from(data)
      : dtype === 'uint32'
        ? Uint32Array.from(data)
        : dtype === 'int8'
          ? Int8Array.from(data)
          : Uint8Array.from(data);

function fillOf(shape: number[], fill: Fill, random: () => number): Values {
  const count = sizeOf(shape);
  return { shape, data: Float64Array.from({ length: count }, (_, i) => fill(random, i, count)) };
}

export function drawInputs(row: OpCase, n: number): Values[] {
  const random = randomFrom(seedOf(nameOf(row)) + n);
  return row.inputs.map(({ shape, fill }: Argument) => fillOf(decode(shape, n), fill, random));
}

/** A random cotangent, never all ones: ones hide mistakes in broadcasting and softmax. */
export function drawCotangent(row: OpCase, shape: number[], n: number): Values {
  const random = randomFrom(seedOf(nameOf(row)) + n + 77);
  const real: Fill = (r) => Math.fround(0.5 + r()) * (r() < 0.5 ? -1 : 1);
  return fillOf(shape, row.integers ? integers(-3, 3) : real, random);
}

export function decodeAttrs(attrs: Attrs, n: number): Attrs {
  const shape = attrs.shape;
  return Array.isArray(shape) ? { ...attrs, shape: decode(shape as number[], n) } : attrs;
}

/** The row's reference at a batch size. An op that takes no input may still look at the batch of one. */
export const referenceOf = (row: OpCase, inputs: Values[], n: number): Values =>
  row.reference(inputs.slice(0, row.takes || undefined), decodeAttrs(row.attrs ?? {}, n));

export const bind = (row: OpCase, inputs: Values[]): Bound[] =>
  inputs.map(({ data, shape }, i) => ({ data: arrayOf(row.inputs[i]!.dtype, data), shape }));

/** One batch size with an odd remainder is enough: sizes are the forward suite's matter. */
export const batchOf = (row: OpCase): number =>
  [...(row.rows ?? [1])].filter((n) => n > 0 && n < 40).sort((a, b) => b - a)[0] ?? row.rows![0]!;

/** JavaScript has no arrays of bfloat16: an input comes as float32. */
function inputOf(graph: NativeGraph, i: number, dtype: DType, shape: readonly number[]): number {
  if (dtype !== 'bfloat16') return graph.input(`x${i}`, dtype, shape);
  return graph.op('cast', [graph.input(`x${i}`, 'float32', shape)], { dtype })[0]!;
}

/** The op alone, as the product would run it: batch symbolic wherever the row says so. */
export function compileForward(row: OpCase, device = 'cpu'): { program: NativeProgram; dtype: DType } {
  const graph = new native.Graph();
  const ids = row.inputs.map(({ dtype, shape }, i) => inputOf(graph, i, dtype, shape));
  const out = graph.op(row.op, ids.slice(0, row.takes), row.attrs ?? {})[row.part ?? 0]!;
  const dtype = graph.dtype(out);
  const result = dtype === 'bfloat16' ? graph.op('cast', [out], { dtype: 'float32' })[0]! : out;
  return { program: graph.compileSync([result], device), dtype };
}

/**
 * Gradients towards row.wrt for a cotangent that is the last input. An output whose shape cannot be that of an input (the batch
 * is not its first axis) is compiled for one batch size.
 */
export function compileGradient(row: OpCase, n: number, device = 'cpu'): { program: NativeProgram; symbolic: boolean } {
  const attempt = (fixed: boolean) => {
    const graph = new native.Graph();
    const ids = row.inputs.map(({ dtype, shape }, i) => graph.input(`x${i}`, dtype, fixed ? decode(shape, n) : shape));
    const attrs = fixed ? decodeAttrs(row.attrs ?? {}, n) : (row.attrs ?? {});
    const out = graph.op(row.op, ids.slice(0, row.takes), attrs)[row.part ?? 0]!;
    const shape = graph.shape(out);
    const legal = shape.every((size, axis) => size >= 0 || (axis === 0 && size === -1));
    if (!legal && !fixed) return undefined;
    const seed = graph.input('cotangent', 'float32', shape);
    const wrt = row.wrt!.map((i) => ids[i]!);
    const gradients = graph.gradients(out, wrt, seed);
    for (const [i, id] of gradients.entries()) {
      if (id < 0) throw new Error(`${nameOf(row)}: no gradient reaches input ${row.wrt![i]}`);
    }
    return { program: graph.compileSync(gradients, device), symbolic: !fixed };
  };
  return attempt(false) ?? attempt(true)!;
}

/** All results of a row, forward and backward, on the executor's threads. */
export async function runAll(row: OpCase): Promise<Bound[]> {
  const results: Bound[] = [];
  const { program } = compileForward(row);
  let backward: ReturnType<typeof compileGradient> | undefined;
  for (const n of row.rows ?? [1]) {
    const inputs = bind(row, drawInputs(row, n));
    const [out] = await program.run(inputs).promise;
    results.push(out!);
    if (!row.wrt?.length || out!.data.length === 0) continue;
    if (!backward?.symbolic) backward = compileGradient(row, n);
    const cotangent = drawCotangent(row, [...out!.shape], n);
    const bound = { data: arrayOf('float32', cotangent.data), shape: cotangent.shape };
    results.push(...(await backward.program.run([...inputs, bound]).promise));
  }
  return results;
}
