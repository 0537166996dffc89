import {
  type Activation as ActivationFunction,
  type ActivationSpec,
  elu,
  leakyRelu,
  relu,
  resolveActivation,
  softmax,
} from '../activations/index.js';
import type { OptionTable } from '../config.js';
import type { Tensor } from '../graph/tensor.js';
import { add, cast, multiply, subtract } from '../ops/math.js';
import { type CallContext, Layer, type LayerOptions } from './layer.js';

/** An activation by name or function, as a layer (https://keras.io/api/layers/core_layers/activation/). */
export class Activation extends Layer {
  static override readonly options: OptionTable = { activation: 'activation' };
  readonly activation: ActivationFunction;

  constructor(options: LayerOptions & { activation: ActivationSpec }) {
    super(options);
    this.activation = resolveActivation(options.activation);
    this.supportsMasking = true;
  }

  override call(x: Tensor): Tensor {
    return this.activation(x);
  }
}

export class ReLU extends Layer {
  static override readonly options: OptionTable = { maxValue: 'value', negativeSlope: 'value', threshold: 'value' };
  readonly maxValue: number | undefined;
  readonly negativeSlope: number;
  readonly threshold: number;

  constructor(options: LayerOptions & { maxValue?: number; negativeSlope?: number; threshold?: number } = {}) {
    super(options);
    this.maxValue = options.maxValue;
    this.negativeSlope = options.negativeSlope ?? 0;
    this.threshold = options.threshold ?? 0;
    this.supportsMasking = true;
  }

  override call(x: Tensor): Tensor {
    return relu(x, this);
  }
}

/** The layer's slope is 0.3, the function's 0.2, as in Keras. */
export class LeakyReLU extends Layer {
  static override readonly options: OptionTable = { negativeSlope: 'value' };
  readonly negativeSlope: number;

  constructor(options: LayerOptions & { negativeSlope?: number } = {}) {
    super(options);
    this.negativeSlope = options.negativeSlope ?? 0.3;
    this.supportsMasking = true;
  }

  override call(x: Tensor): Tensor {
    return leakyRelu(x, this);
  }
}

export class ELU extends Layer {
  static override readonly options: OptionTable = { alpha: 'value' };
  readonly alpha: number;

  constructor(options: LayerOptions & { alpha?: number } = {}) {
    super(options);
    this.alpha = options.alpha ?? 1;
    this.supportsMasking = true;
  }

  override call(x: Tensor): Tensor {
    return elu(x, this);
  }
}

export class Softmax extends Layer {
  static override readonly options: OptionTable = { axis: 'value' };
  readonly axis: number;

  constructor(options: LayerOptions & { axis?: number } = {}) {
    super(options);
    this.axis = options.axis ?? -1;
    this.supportsMasking = true;
  }

  override call(x: Tensor, { mask }: CallContext): Tensor {
    return softmax(mask ? add(x, multiply(subtract(1, cast(mask, 'float32')), -1e9)) : x, this.axis);
  }
}
