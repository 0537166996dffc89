import { flatten, mapStructure, type Structure } from '../../graph/structure.js';
import { Dimension, type Tensor } from '../../graph/tensor.js';
import { zeros } from '../../ops/shape.js';
import { type CallContext, Layer, type TensorStructure } from '../layer.js';

/** Sizes of a cell's states: one number, a list, or a list of lists (cells on top of each other). */
export type StateSize = number | readonly StateSize[];
/** States in the structure of the sizes; those of a cell with one state are a list of one. */
export type States = readonly Structure<Tensor>[];

export interface CellContext extends CallContext {
  /** The states before this time step. */
  readonly states: readonly Tensor[];
}

/** How a layer walks along the time axis. */
export interface SequenceOptions {
  /** [N, steps]: the steps that count; others keep the state. */
  mask: Tensor | undefined;
  backwards: boolean;
  /** The output of a step that does not count is zero, not the one before. */
  zeroOutput: boolean;
  training: boolean;
}

export interface SequenceResult {
  last: Tensor;
  /** [N, steps, …], in the order of the walk. */
  sequence: Tensor;
  states: States;
}

/**
 * One time step of a recurrent layer. A cell of your own extends this class, says the sizes of its states, and gives
 * [output, new states] from `call(x, { states, training })`; `rnn({ cell })` walks along the time axis
 * (https://keras.io/api/layers/recurrent_layers/rnn/).
 */
export abstract class RNNCell extends Layer {
  static override readonly callArguments: readonly string[] = ['states'];

  abstract readonly stateSize: StateSize;

  /** Size of the output; that of the first state when absent. */
  get outputSize(): number {
    return flatten(this.stateSize)[0]!.item as number;
  }

  abstract override call(x: Tensor, ctx: CellContext): TensorStructure;

  /** The states before the first step for the rows of x: zeros. */
  initialState(x: Tensor): States {
    const batch = x.dims[0]!;
    const rows = batch < 0 ? new Dimension(-batch) : batch;
    return mapStructure(sizesOf(this), (size) => zeros([rows, size as number])) as States;
  }

  /** A walk is about to start: what is drawn once per sequence is drawn anew. */
  beginSequence(): void {}
  endSequence(): void {}

  /** The whole walk at once, where the cell has a faster way than step by step. */
  sequence(_x: Tensor, _states: States | undefined, _options: SequenceOptions): SequenceResult | undefined {
    return undefined;
  }
}

/** State sizes as a list. */
export function sizesOf(cell: RNNCell): readonly StateSize[] {
  return typeof cell.stateSize === 'number' ? [cell.stateSize] : cell.stateSize;
}
