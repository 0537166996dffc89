import type { Activation, ActivationSpec } from '../../activations/index.js';
import type { OptionTable } from '../../config.js';
import type { Tensor } from '../../graph/tensor.js';
import type { InitializerSpec } from '../../initializers/index.js';
import type { AttrValue } from '../../native.js';
import { add, matmul, multiply, subtract } from '../../ops/math.js';
import { at, concatenate, ones, split } from '../../ops/shape.js';
import * as rules from '../../rules.js';
import type { TensorStructure } from '../layer.js';
import type { CellContext } from './cell.js';
import { activationOf, DropoutRNNCell, fusedName, type SimpleCellOptions } from './dropout_cell.js';

export type { SimpleCellOptions } from './dropout_cell.js';

/** act(x · W + b + h · U) (https://keras.io/api/layers/recurrent_layers/simple_rnn_cell/). */
export class SimpleRNNCell extends DropoutRNNCell {
  protected override readonly gates = 1;
  protected override readonly op = 'simpleRnn';

  override get stateSize(): number {
    return this.units;
  }

  protected override drops(rate: number): boolean {
    return rate > 0;
  }

  override call(x: Tensor, { states, training }: CellContext): TensorStructure {
    const fromX = this.withBias(this.project(x, this.kernel, 'input', training));
    const h = this.activation(add(fromX, this.project(states[0]!, this.recurrentKernel, 'state', training)));
    return [h, [h]];
  }
}

export interface GatedCellOptions extends SimpleCellOptions {
  /** Of the gates. Default 'sigmoid'; null is linear. */
  recurrentActivation?: ActivationSpec | null;
}

abstract class GatedCell extends DropoutRNNCell {
  static override readonly options: OptionTable = { recurrentActivation: 'activation' };
  readonly recurrentActivation: Activation;

  constructor(options: GatedCellOptions) {
    super(options);
    this.recurrentActivation = activationOf(options.recurrentActivation, 'sigmoid');
  }

  protected override fusedAttributes(): Record<string, AttrValue> | undefined {
    const attributes = super.fusedAttributes();
    const recurrentActivation = fusedName(this.recurrentActivation);
    return attributes && recurrentActivation !== undefined ? { ...attributes, recurrentActivation } : undefined;
  }
}

export interface LSTMCellOptions extends GatedCellOptions {
  /** The forget gate's bias starts at 1 (default true). */
  unitForgetBias?: boolean;
}

/** Long short-term memory; gates in the order input, forget, candidate, output (https://keras.io/api/layers/recurrent_layers/lstm_cell/). */
export class LSTMCell extends GatedCell {
  static override readonly options: OptionTable = { unitForgetBias: rules.flag };
  readonly unitForgetBias: boolean;
  protected override readonly gates = 4;
  protected override readonly op = 'lstm';

  constructor(options: LSTMCellOptions) {
    super(options);
    this.unitForgetBias = options.unitForgetBias ?? true;
  }

  override get stateSize(): number[] {
    return [this.units, this.units];
  }

  /** Ones for the forget gate. */
  protected override firstBias(): InitializerSpec {
    const { biasInitializer, units } = this;
    if (!this.unitForgetBias) return biasInitializer;
    return (_shape, dtype) =>
      concatenate(
        [biasInitializer.call([units], dtype), ones([units], dtype), biasInitializer.call([2 * units], dtype)],
        0,
      );
  }

  override call(x: Tensor, { states, training }: CellContext): TensorStructure {
    const [h, c] = states as readonly [Tensor, Tensor];
    const fromX = this.withBias(this.project(x, this.kernel, 'input', training));
    const z = add(fromX, this.project(h, this.recurrentKernel, 'state', training));
    const [input, forget, candidate, output] = split(z, 4, this.featureAxis) as [Tensor, Tensor, Tensor, Tensor];
    const proposed = multiply(this.recurrentActivation(input), this.activation(candidate));
    const carry = add(multiply(this.recurrentActivation(forget), c), proposed);
    const next = multiply(this.recurrentActivation(output), this.activation(carry));
    return [next, [next, carry]];
  }
}

export interface GRUCellOptions extends GatedCellOptions {
  /** The reset gate acts on h · U (default true), or on h before the product. */
  resetAfter?: boolean;
}

/** Gated recurrent unit; gates in the order update, reset, candidate (https://keras.io/api/layers/recurrent_layers/gru_cell/). */
export class GRUCell extends GatedCell {
  static override readonly options: OptionTable = { resetAfter: rules.flag };
  readonly resetAfter: boolean;
  protected override readonly gates = 3;
  protected override readonly op = 'gru';

  constructor(options: GRUCellOptions) {
    super(options);
    this.resetAfter = options.resetAfter ?? true;
  }

  override get stateSize(): number {
    return this.units;
  }

  protected override get biasShape(): number[] {
    return this.resetAfter ? [2, 3 * this.units] : [3 * this.units];
  }

  protected override fusedAttributes(): Record<string, AttrValue> | undefined {
    const attributes = super.fusedAttributes();
    return attributes && { ...attributes, resetAfter: this.resetAfter };
  }

  override call(x: Tensor, { states, training }: CellContext): TensorStructure {
    const h = states[0]!;
    const { units } = this;
    const [inputBias, recurrentBias] =
      this.bias && this.resetAfter ? [at(this.bias, 0), at(this.bias, 1)] : [this.bias, undefined];
    const fromX = this.withBias(this.project(x, this.kernel, 'input', training), inputBias);
    const [xz, xr, xh] = split(fromX, 3, 1) as [Tensor, Tensor, Tensor];
    const gate = (a: Tensor, b: Tensor): Tensor => this.recurrentActivation(add(a, b));
    let z: Tensor;
    let candidate: Tensor;
    if (this.resetAfter) {
      const fromH = this.withBias(this.project(h, this.recurrentKernel, 'state', training), recurrentBias);
      const [hz, hr, hh] = split(fromH, 3, 1) as [Tensor, Tensor, Tensor];
      z = gate(xz, hz);
      candidate = multiply(gate(xr, hr), hh);
    } else {
      const [gateKernel, lastKernel] = split(this.recurrentKernel, [2 * units], 1) as [Tensor, Tensor];
      const [hz, hr] = split(this.project(h, gateKernel, 'state', training, 2), 2, 1) as [Tensor, Tensor];
      z = gate(xz, hz);
      const masks = training ? this.masksFor(h, 'state') : undefined;
      const kept = masks ? multiply(h, masks.at(-1)!) : h;
      candidate = matmul(multiply(gate(xr, hr), kept), lastKernel);
    }
    const proposed = this.activation(add(xh, candidate));
    const next = add(multiply(z, h), multiply(subtract(1, z), proposed));
    return [next, [next]];
  }
}
