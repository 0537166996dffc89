import { flatten, mapStructure, pack } from '../../graph/structure.js';
import type { Tensor } from '../../graph/tensor.js';
import { where } from '../../ops/math.js';
import { cast } from '../../ops/operands.js';
import { at, reshapeDims, stack, zerosLike } from '../../ops/shape.js';
import type { RNNCell, SequenceOptions, SequenceResult, States } from './cell.js';
import { callCell } from './stacked.js';

/**
 * The walk of any cell along the time axis, one call of the cell after the other while tracing: the graph grows with the
 * number of steps, so that long sequences take long to compile. Built-in cells have one op for all steps instead.
 */
export function unroll(cell: RNNCell, x: Tensor, initial: States, options: SequenceOptions): SequenceResult {
  const { mask, backwards, zeroOutput, training } = options;
  const steps = x.dims[1]!;
  const flags = mask && cast(mask, 'bool');
  let states = initial;
  let previous: Tensor | undefined;
  const outputs: Tensor[] = [];
  cell.beginSequence();
  try {
    for (let s = 0; s < steps; s++) {
      const step = backwards ? steps - 1 - s : s;
      let [output, next] = callCell(cell, at(x, step, 1), states, training);
      if (flags) {
        const counts = at(flags, step, 1);
        const old = flatten(states).map((leaf) => leaf.item as Tensor);
        const kept = flatten(next).map((leaf, i) => choose(counts, leaf.item as Tensor, old[i]!));
        next = pack(next, kept) as States;
        output = choose(counts, output, zeroOutput ? undefined : previous);
      }
      states = next;
      previous = output;
      outputs.push(output);
    }
  } finally {
    cell.endSequence();
  }
  return { last: outputs.at(-1)!, sequence: stack(outputs, 1), states: mapStructure(states, (leaf) => leaf) as States };
}

/** Rows of `yes` that count, rows of `no` (zeros when absent) elsewhere. */
function choose(counts: Tensor, yes: Tensor, no: Tensor | undefined): Tensor {
  const wide = reshapeDims(counts, [counts.dims[0]!, ...yes.dims.slice(1).map(() => 1)]);
  return where(wide, yes, no ?? zerosLike(yes));
}
