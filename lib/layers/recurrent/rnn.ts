import { checked, type OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import { flatten, mapStructure, type Structure } from '../../graph/structure.js';
import { isTensor, type Shape, type Tensor } from '../../graph/tensor.js';
import type { Operand } from '../../graph/trace.js';
import { Variable } from '../../graph/variable.js';
import { type ArrayInput, shapeText } from '../../ndarray.js';
import { float } from '../../ops/operands.js';
import * as rules from '../../rules.js';
import type { LayerSpec } from '../family.js';
import { type CallContext, Layer, type LayerOptions, type MaskOf, type TensorStructure } from '../layer.js';
import { type RNNCell, type SequenceOptions, type SequenceResult, type States, sizesOf } from './cell.js';
import { StackedRNNCells, toCell } from './stacked.js';
import { unroll } from './unroll.js';

export interface SequenceLayerOptions extends LayerOptions {
  /** Give the outputs of all steps, [N, steps, units], instead of the last one (default false). */
  returnSequences?: boolean;
  /** Give the last states, too: [output, ...states] (default false). */
  returnState?: boolean;
  /** Walk from the last step to the first; the sequence comes in that order (default false). */
  goBackwards?: boolean;
  /** The states of a batch are the first ones of the next; needs a fixed batch size (default false). */
  stateful?: boolean;
  /** Accepted for Keras's habit: built-in cells are one op, others are always unrolled. */
  unroll?: boolean;
  /** In sequences, zero the outputs of steps that the mask leaves out (default false: repeat the one before). */
  zeroOutputForMask?: boolean;
}

export interface RecurrentContext extends CallContext {
  readonly initialState?: Structure<Tensor | Operand>;
}

/** Walks a cell along the time axis of [N, steps, …]. What RNN, SimpleRNN, LSTM and GRU share. */
export abstract class SequenceLayer extends Layer {
  static override readonly callArguments: readonly string[] = ['initialState', 'mask', 'training'];
  static override readonly options: OptionTable = {
    returnSequences: rules.flag,
    returnState: rules.flag,
    goBackwards: rules.flag,
    stateful: rules.flag,
    unroll: rules.flag,
    zeroOutputForMask: rules.flag,
  };
  readonly returnSequences: boolean;
  readonly returnState: boolean;
  readonly goBackwards: boolean;
  readonly stateful: boolean;
  readonly unroll: boolean;
  /** Set by Bidirectional. */
  zeroOutputForMask: boolean;
  readonly cell: RNNCell;
  /** Carried from batch to batch; no weights, as in Keras. */
  #states: Structure<Variable> | undefined;

  constructor(options: SequenceLayerOptions, cell: RNNCell) {
    super(options);
    this.returnSequences = options.returnSequences ?? false;
    this.returnState = options.returnState ?? false;
    this.goBackwards = options.goBackwards ?? false;
    this.stateful = options.stateful ?? false;
    this.unroll = options.unroll ?? false;
    this.zeroOutputForMask = options.zeroOutputForMask ?? false;
    this.cell = cell;
  }

  override build(inputShape: Shape): void {
    this.checkSteps(inputShape);
    this.cell.build([inputShape[0]!, ...inputShape.slice(2)]);
  }

  override computeMask(_inputs: TensorStructure, mask: Tensor | undefined): MaskOf {
    return this.returnSequences ? mask : undefined;
  }

  override call(x: Tensor, { initialState, mask, training }: RecurrentContext): TensorStructure {
    this.checkSteps(x.shape);
    const carried = this.stateful ? this.carried(x) : undefined;
    const given = initialState === undefined ? undefined : this.given(initialState);
    const initial = given ?? (carried && (mapStructure(carried, (state) => (state as Variable).read()) as States));
    const result = this.walk(x, initial, {
      mask,
      training,
      backwards: this.goBackwards,
      zeroOutput: this.zeroOutputForMask,
    });
    if (carried) {
      const next = flatten(result.states).map((leaf) => leaf.item as Tensor);
      for (const [i, leaf] of flatten(carried).entries()) (leaf.item as Variable).assign(next[i]!);
    }
    const output = this.returnSequences ? result.sequence : result.last;
    if (!this.returnSequences) output.lastStepOf = `"${this.name}" (${this.className})`;
    return this.returnState ? [output, ...result.states] : output;
  }

  protected walk(x: Tensor, initial: States | undefined, options: SequenceOptions): SequenceResult {
    const { cell } = this;
    return cell.sequence(x, initial, options) ?? unroll(cell, x, initial ?? cell.initialState(x), options);
  }

  /** Sets the carried states of a stateful layer to zero, or to the given arrays. */
  async resetState(states?: readonly ArrayInput[]): Promise<void> {
    if (!this.stateful) {
      throw new ChainruleError(
        'ERR_CHAINRULE_STATE',
        `layer "${this.name}" (${this.className}): resetState needs stateful: true.`,
      );
    }
    const variables = this.#states === undefined ? [] : flatten(this.#states).map((leaf) => leaf.item as Variable);
    if (states && states.length !== variables.length) {
      throw new ChainruleError(
        'ERR_CHAINRULE_VALUE',
        `layer "${this.name}": resetState takes ${variables.length} arrays, got ${states.length}.`,
      );
    }
    const zero = (variable: Variable): Promise<void> => variable.native.write(new Float32Array(variable.size));
    await Promise.all(variables.map((variable, i) => (states ? variable.write(states[i]!) : zero(variable))));
  }

  private checkSteps(shape: Shape): void {
    if (shape.length >= 3 && shape[1] !== 0) return;
    throw new ChainruleError(
      'ERR_CHAINRULE_SHAPE',
      `layer "${this.name}" (${this.className}) expects [N, steps, features] with at least one time step, but got ${shapeText(shape)}.`,
      { details: { layer: this.name, got: [...shape] } },
    );
  }

  /** The variables of carried states, for the batch size of x. */
  private carried(x: Tensor): Structure<Variable> {
    const rows = x.dims[0]!;
    if (rows < 0) {
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `layer "${this.name}" (${this.className}) is stateful, so the batch size must be fixed: input({ batchShape: [32, …] }).`,
        { details: { layer: this.name } },
      );
    }
    this.#states ??= mapStructure(
      this.cell.initialState(x),
      (state) => new Variable('rnn_state', (state as Tensor).dims, { trainable: false }),
    ) as Structure<Variable>;
    const known = (flatten(this.#states)[0]!.item as Variable).shape[0]!;
    if (known !== rows) {
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `layer "${this.name}" (${this.className}) is stateful and carries states of ${known} rows, but got a batch of ${rows}.`,
        { details: { layer: this.name, expected: known, got: rows } },
      );
    }
    return this.#states;
  }

  /** Initial states as the cell takes them; one state may come without a list. */
  private given(initialState: Structure<Tensor | Operand>): States {
    const list = Array.isArray(initialState) && !isNumbers(initialState) ? initialState : [initialState];
    const wanted = sizesOf(this.cell);
    if (list.length !== wanted.length) {
      throw new ChainruleError(
        'ERR_CHAINRULE_VALUE',
        `layer "${this.name}" (${this.className}): initialState must be ${wanted.length} tensors, got ${list.length}.`,
        { details: { layer: this.name } },
      );
    }
    return mapStructure(list, (leaf) => float(leaf as Operand), isNumbers) as States;
  }
}

const isNumbers = (value: unknown): boolean =>
  Array.isArray(value) && !isTensor(value[0]) && (typeof value[0] === 'number' || isNumbers(value[0]));

export interface RNNOptions extends SequenceLayerOptions {
  /** What happens in a step; a list stacks cells on top of each other. */
  cell: LayerSpec | readonly LayerSpec[];
}

/** Any cell along the time axis (https://keras.io/api/layers/recurrent_layers/rnn/). Cells of your own are unrolled while tracing. */
export class RNN extends SequenceLayer {
  static override readonly options: OptionTable = {
    cell: { ...rules.required(rules.anything, 'layers.lstmCell({ units: 64 })'), kind: 'layer' },
  };

  constructor(options: RNNOptions) {
    const { cell } = checked(new.target, options);
    super(options, Array.isArray(cell) ? new StackedRNNCells({ cells: cell }) : toCell(cell as LayerSpec, 'RNN'));
  }
}
