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
import { type Constraint, type ConstraintSpec, resolveConstraint } from '../constraints/index.js';
import type { Shape, Tensor } from '../graph/tensor.js';
import type { Variable } from '../graph/variable.js';
import { type Initializer, type InitializerSpec, resolveInitializer } from '../initializers/index.js';
import { exp, greater, multiply, negative, subtract, where } from '../ops/math.js';
import { logsumexp } from '../ops/reduce.js';
import { type Regularizer, type RegularizerSpec, resolveRegularizer } from '../regularizers/index.js';
import * as rules from '../rules.js';
import { knownSize } from './kernel_layer.js';
import { type CallContext, Layer, type LayerOptions } from './layer.js';

/** An activation by name or function, as a layer (https://keras.io/api/layers/core_layers/activation/). */
export class Activation extends Layer {
  static override readonly options: OptionTable = {
    activation: { ...rules.required(rules.anything, "'relu'"), kind: 'activation' },
  };
  readonly activation: ActivationFunction;

  constructor(options: LayerOptions & { activation: ActivationSpec }) {
    super(options);
    this.activation = resolveActivation(options.activation);
    this.supportsMasking = true;
  }

  override call(x: Tensor): Tensor {
    return this.activate(this.activation, x);
  }
}

export class ReLU extends Layer {
  static override readonly options: OptionTable = {
    maxValue: rules.orInfinite(rules.atLeast(0)),
    negativeSlope: rules.atLeast(0),
    threshold: rules.atLeast(0),
  };
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
  static override readonly options: OptionTable = { negativeSlope: rules.atLeast(0) };
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
  static override readonly options: OptionTable = { alpha: rules.number };
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

/** exp(x) / Σ exp(x) along an axis or over several; `mask` (true: counts) leaves places out (https://keras.io/api/layers/activation_layers/softmax/). */
export class Softmax extends Layer {
  static override readonly callArguments: readonly string[] = ['mask'];
  static override readonly options: OptionTable = { axis: rules.orList(rules.integer()) };
  readonly axis: number | readonly number[];

  constructor(options: LayerOptions & { axis?: number | readonly number[] } = {}) {
    super(options);
    this.axis = options.axis ?? -1;
    this.supportsMasking = true;
  }

  override call(x: Tensor, { mask }: CallContext): Tensor {
    if (!mask) return this.softmax(x);
    const kept = mask.dtype === 'bool' ? mask : greater(mask, 0.5);
    // Where all places are masked, softmax alone would give equal shares.
    return where(kept, this.softmax(where(kept, x, -1e9)), 0);
  }

  private softmax(x: Tensor): Tensor {
    if (typeof this.axis === 'number') return softmax(x, this.axis);
    if (this.axis.length === 1) return softmax(x, this.axis[0]);
    return exp(subtract(x, logsumexp(x, { axis: this.axis, keepdims: true })));
  }
}

export interface PReLUOptions extends LayerOptions {
  /** Default 'zeros'. */
  alphaInitializer?: InitializerSpec;
  alphaRegularizer?: RegularizerSpec;
  alphaConstraint?: ConstraintSpec;
  /** Axes (counted from 1) along which all places share a slope, e.g. [1, 2] for images. */
  sharedAxes?: number | readonly number[];
}

/** ReLU with a learned slope below zero (https://keras.io/api/layers/activation_layers/prelu/). */
export class PReLU extends Layer {
  static override readonly options: OptionTable = {
    alphaInitializer: 'initializer',
    alphaRegularizer: 'regularizer',
    alphaConstraint: 'constraint',
    sharedAxes: rules.orList(rules.integer(1)),
  };
  readonly alphaInitializer: Initializer;
  readonly alphaRegularizer: Regularizer | undefined;
  readonly alphaConstraint: Constraint | undefined;
  readonly sharedAxes: readonly number[] | undefined;
  alpha!: Variable;

  constructor(options: PReLUOptions = {}) {
    super(options);
    const { sharedAxes } = options;
    this.alphaInitializer = resolveInitializer(options.alphaInitializer ?? 'zeros');
    this.alphaRegularizer = resolveRegularizer(options.alphaRegularizer);
    this.alphaConstraint = resolveConstraint(options.alphaConstraint);
    this.sharedAxes = typeof sharedAxes === 'number' ? [sharedAxes] : sharedAxes;
    this.supportsMasking = true;
  }

  override build(inputShape: Shape): void {
    const shared = new Set(this.sharedAxes);
    const own = inputShape.map((_, axis) => axis).filter((axis) => axis > 0 && !shared.has(axis));
    const axes = Object.fromEntries(own.map((axis) => [axis, knownSize(this, inputShape, axis)]));
    this.inputSpec = { rank: inputShape.length, axes };
    const shape = inputShape.slice(1).map((_, i) => axes[i + 1] ?? 1);
    this.alpha = this.addWeight('alpha', shape, {
      initializer: this.alphaInitializer,
      regularizer: this.alphaRegularizer,
      constraint: this.alphaConstraint,
    });
  }

  override call(x: Tensor): Tensor {
    return subtract(relu(x), multiply(this.alpha, relu(negative(x))));
  }
}
