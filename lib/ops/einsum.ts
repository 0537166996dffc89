import { ChainruleError } from '../errors.js';
import { emit } from '../graph/emit.js';
import type { Tensor } from '../graph/tensor.js';
import { shapeText } from '../ndarray.js';
import { matmul, multiply } from './math.js';
import { type Operand, tensor } from './operands.js';
import { sum } from './reduce.js';
import { reshapeDims, squeeze, transpose } from './shape.js';

/** A tensor whose axes have names. */
interface Named {
  value: Tensor;
  labels: string[];
}

/**
 * Sums of products over named axes, as numpy's einsum: 'bij,bjk->bik'. An ellipsis stands for further axes; without an
 * arrow the result has the names that occur once, in their order. Each pair of operands is one batched matmul between
 * transposes (https://keras.io/api/ops/numpy/).
 */
export function einsum(equation: string, ...operands: readonly Operand[]): Tensor {
  const { inputs, output } = parse(equation, operands.map(tensor));
  let result = reduceAlone(inputs[0]!, inputs.slice(1), output);
  for (let i = 1; i < inputs.length; i++) {
    const later = inputs.slice(i + 1);
    const next = reduceAlone(inputs[i]!, [result, ...later], output);
    const needed = new Set([...output, ...later.flatMap(({ labels }) => labels)]);
    result = contract(result, next, needed);
  }
  return arrange(result, output);
}

function bad(equation: string, why: string): ChainruleError {
  return new ChainruleError('ERR_CHAINRULE_SHAPE', `einsum: "${equation}": ${why}.`);
}

function parse(equation: string, values: readonly Tensor[]): { inputs: Named[]; output: string[] } {
  const compact = equation.replace(/\s/g, '');
  const [left, right, rest] = compact.split('->') as [string, string | undefined, string | undefined];
  const terms = left.split(',');
  if (rest !== undefined || !/^[a-zA-Z.,]*$/.test(left + (right ?? '')))
    throw bad(equation, 'expected letters, commas, one "->" at most, and "..."');
  if (terms.length !== values.length)
    throw bad(equation, `${terms.length} operands are named but ${values.length} are given`);

  // The axes of an ellipsis are named from the last: …, #1, #0.
  const hidden = terms.map((term, i) => (term.includes('...') ? values[i]!.rank - term.replace('...', '').length : 0));
  const ellipsis = (count: number): string[] => Array.from({ length: count }, (_, i) => `#${count - 1 - i}`);
  const named = (term: string, count: number): string[] => {
    const [before, after] = term.split('...') as [string, string | undefined];
    return after === undefined ? [...before] : [...before, ...ellipsis(count), ...after];
  };
  const inputs = terms.map((term, i): Named => {
    const [value, labels] = [values[i]!, named(term, Math.max(hidden[i]!, 0))];
    if (labels.length !== value.rank || hidden[i]! < 0)
      throw bad(equation, `"${term}" does not name the ${value.rank} axes of ${shapeText(value.shape)}`);
    return diagonals(equation, { value, labels });
  });
  const widest = Math.max(...hidden);
  const all = inputs.flatMap(({ labels }) => labels);
  const letters = [...new Set(left.replace(/[.,]/g, ''))].sort();
  const once = letters.filter((letter) => left.split(letter).length === 2);
  const output = right === undefined ? [...ellipsis(widest), ...once] : named(right, widest);
  for (const label of output) {
    if (!all.includes(label)) throw bad(equation, `the result names "${label}", which no operand has`);
    if (output.filter((other) => other === label).length > 1) throw bad(equation, `the result names "${label}" twice`);
  }
  return { inputs: unified(equation, inputs), output };
}

/** Checks that an axis has one size everywhere; an axis of size 1 that is larger elsewhere is broadcast: dropped here. */
function unified(equation: string, inputs: readonly Named[]): Named[] {
  const sizes = new Map<string, number>();
  for (const { value, labels } of inputs) {
    labels.forEach((label, i) => {
      const [known, size] = [sizes.get(label), value.dims[i]!];
      if (known === undefined || known === 1) sizes.set(label, size);
      else if (size !== known && size !== 1)
        throw bad(
          equation,
          `axis "${label}" has two sizes: ${shapeText([known, size].map((n) => (n < 0 ? null : n)))}`,
        );
    });
  }
  return inputs.map((input) => {
    let { value, labels } = input;
    for (const label of input.labels) {
      const at = labels.indexOf(label);
      if (value.dims[at] !== 1 || sizes.get(label) === 1) continue;
      value = squeeze(value, at);
      labels = labels.filter((_, i) => i !== at);
    }
    return { value, labels };
  });
}

/** An axis that is named twice becomes the diagonal. */
function diagonals(equation: string, input: Named): Named {
  let { value, labels } = input;
  for (let second = labels.length - 1; second > 0; second--) {
    const first = labels.indexOf(labels[second]!);
    if (first === second) continue;
    const size = value.dims[first]!;
    if (size < 0 || value.dims[second] !== size)
      throw bad(equation, `"${labels[second]}" names two axes of ${shapeText(value.shape)} that are not equal`);
    const others = labels.map((_, i) => i).filter((i) => i !== first && i !== second);
    const last = transpose(value, [...others, first, second]);
    value = lastDiagonal(last, 0);
    labels = [...others.map((i) => labels[i]!), labels[first]!];
    second = labels.length;
  }
  return { value, labels };
}

/** The diagonal of the last two axes, `offset` columns to the right of the main one: a strided walk through the rows. */
export function lastDiagonal(x: Tensor, offset: number): Tensor {
  const [rows, columns] = x.dims.slice(-2) as [number, number];
  const count = Math.max(0, offset >= 0 ? Math.min(rows, columns - offset) : Math.min(rows + offset, columns));
  const outer = x.dims.slice(0, -2);
  const flat = reshapeDims(x, [...outer, rows * columns]);
  return emit('slice', [flat], {
    axes: [outer.length],
    begin: [offset >= 0 ? offset : -offset * columns],
    size: [count],
    strides: [columns + 1],
  });
}

/** Sums over the axes that neither the others nor the result have. */
function reduceAlone(input: Named, others: readonly Named[], output: readonly string[]): Named {
  const needed = new Set([...output, ...others.flatMap(({ labels }) => labels)]);
  const axis = input.labels.map((_, i) => i).filter((i) => !needed.has(input.labels[i]!));
  if (axis.length === 0) return input;
  return { value: sum(input.value, { axis }), labels: input.labels.filter((label) => needed.has(label)) };
}

/** Two operands into one: shared axes that are needed later are batch axes, the other shared ones are summed over. */
function contract(a: Named, b: Named, needed: ReadonlySet<string>): Named {
  const shared = a.labels.filter((label) => b.labels.includes(label));
  const batch = shared.filter((label) => needed.has(label));
  const inner = shared.filter((label) => !needed.has(label));
  const rows = a.labels.filter((label) => !shared.includes(label));
  const columns = b.labels.filter((label) => !shared.includes(label));
  const size =
    ({ value, labels }: Named) =>
    (label: string): number =>
      value.dims[labels.indexOf(label)]!;
  const sizes = (one: Named, labels: readonly string[]): number[] => labels.map(size(one));
  const total = (dims: readonly number[]): number =>
    dims.reduce((product, dim) => product * Math.abs(dim), 1) * sign(dims);

  if (inner.length === 0 && (rows.length === 0 || columns.length === 0)) {
    // Nothing to sum over: a product, the smaller operand broadcast.
    const [wide, narrow] = columns.length === 0 ? [a, b] : [b, a];
    const extra = wide.labels.filter((label) => !narrow.labels.includes(label));
    const fitted = arrange(
      narrow,
      wide.labels.filter((label) => narrow.labels.includes(label)),
    );
    const dims = wide.labels.map((label) => (extra.includes(label) ? 1 : size(wide)(label)));
    return { value: multiply(wide.value, reshapeDims(fitted, dims)), labels: wide.labels };
  }
  const [batchDims, k] = [sizes(a, batch), total(sizes(a, inner))];
  const [rowDims, columnDims] = [sizes(a, rows), sizes(b, columns)];
  const left = matrix(a, batch, rows, inner, [...batchDims, total(rowDims), k]);
  const right = matrix(b, batch, inner, columns, [...batchDims, k, total(columnDims)]);
  const product = matmul(left.value, right.value, { transposeA: left.transposed, transposeB: right.transposed });
  return {
    value: reshapeDims(product, [...batchDims, ...rowDims, ...columnDims]),
    labels: [...batch, ...rows, ...columns],
  };
}

const sign = (dims: readonly number[]): number => (dims.some((dim) => dim < 0) ? -1 : 1);

/** An operand as matrices [batch…, first, second], left transposed where its axes lie in that order already. */
function matrix(
  x: Named,
  batch: readonly string[],
  first: readonly string[],
  second: readonly string[],
  dims: number[],
): { value: Tensor; transposed: boolean } {
  const swapped = [...batch, ...second, ...first];
  const transposed = first.length > 0 && second.length > 0 && swapped.every((label, i) => x.labels[i] === label);
  const shape = transposed ? [...dims.slice(0, -2), dims.at(-1)!, dims.at(-2)!] : dims;
  return { value: reshapeDims(arrange(x, transposed ? swapped : [...batch, ...first, ...second]), shape), transposed };
}

/** The axes in the order of the labels. */
function arrange({ value, labels }: Named, order: readonly string[]): Tensor {
  if (order.every((label, i) => labels[i] === label)) return value;
  return transpose(
    value,
    order.map((label) => labels.indexOf(label)),
  );
}
