import {
  type Activation,
  type ActivationSpec,
  activationName,
  linear,
  resolveActivation,
} from '../../activations/index.js';
import type { OptionTable } from '../../config.js';
import { type Constraint, type ConstraintSpec, resolveConstraint } from '../../constraints/index.js';
import { emitParts } from '../../graph/emit.js';
import type { Shape, Tensor } from '../../graph/tensor.js';
import type { Operand } from '../../graph/trace.js';
import type { Variable } from '../../graph/variable.js';
import { type Initializer, type InitializerSpec, resolveInitializer } from '../../initializers/index.js';
import { camelCase } from '../../names.js';
import type { AttrValue } from '../../native.js';
import { add, matmul, multiply } from '../../ops/math.js';
import { cast } from '../../ops/operands.js';
import { dropWith, SeedGenerator } from '../../ops/random.js';
import { concatenate, onesLike, split, zerosLike } from '../../ops/shape.js';
import { type Regularizer, type RegularizerSpec, resolveRegularizer } from '../../regularizers/index.js';
import * as rules from '../../rules.js';
import { knownSize } from '../kernel_layer.js';
import type { LayerOptions } from '../layer.js';
import { RNNCell, type SequenceOptions, type SequenceResult, type States } from './cell.js';

export interface SimpleCellOptions extends LayerOptions {
  /** Size of output and state. */
  units: number;
  /** Default 'tanh'; null is linear. */
  activation?: ActivationSpec | null;
  /** Default true. */
  useBias?: boolean;
  /** Default 'glorotUniform'. */
  kernelInitializer?: InitializerSpec;
  /** Default 'orthogonal'. */
  recurrentInitializer?: InitializerSpec;
  /** Default 'zeros'. */
  biasInitializer?: InitializerSpec;
  kernelRegularizer?: RegularizerSpec;
  recurrentRegularizer?: RegularizerSpec;
  biasRegularizer?: RegularizerSpec;
  kernelConstraint?: ConstraintSpec;
  recurrentConstraint?: ConstraintSpec;
  biasConstraint?: ConstraintSpec;
  /** Fraction of the input that is zeroed in training, the same for all time steps. Default 0. */
  dropout?: number;
  /** Fraction of the state that is zeroed in training on its way into the gates. Default 0. */
  recurrentDropout?: number;
  seed?: number;
}

export const simpleCellOptions = {
  units: rules.required(rules.integer(1), '64'),
  activation: 'activation',
  useBias: rules.flag,
  kernelInitializer: 'initializer',
  recurrentInitializer: 'initializer',
  biasInitializer: 'initializer',
  kernelRegularizer: 'regularizer',
  recurrentRegularizer: 'regularizer',
  biasRegularizer: 'regularizer',
  kernelConstraint: 'constraint',
  recurrentConstraint: 'constraint',
  biasConstraint: 'constraint',
  dropout: rules.number,
  recurrentDropout: rules.number,
  seed: rules.integer(),
} as const satisfies OptionTable;

/** Activations that the engine's fused ops know. */
const fused = new Set(['linear', 'relu', 'tanh', 'sigmoid', 'hardSigmoid', 'softsign']);

/** What SimpleRNNCell, LSTMCell and GRUCell share: three weights, and dropout masks that last for a sequence. */
export abstract class DropoutRNNCell extends RNNCell {
  static override readonly options: OptionTable = simpleCellOptions;

  /** Blocks of `units` columns in the weights. */
  protected abstract readonly gates: number;
  /** The engine's op over a whole sequence. */
  protected abstract readonly op: string;

  readonly units: number;
  readonly activation: Activation;
  readonly useBias: boolean;
  readonly kernelInitializer: Initializer;
  readonly recurrentInitializer: Initializer;
  readonly biasInitializer: Initializer;
  readonly kernelRegularizer: Regularizer | undefined;
  readonly recurrentRegularizer: Regularizer | undefined;
  readonly biasRegularizer: Regularizer | undefined;
  readonly kernelConstraint: Constraint | undefined;
  readonly recurrentConstraint: Constraint | undefined;
  readonly biasConstraint: Constraint | undefined;
  readonly dropout: number;
  readonly recurrentDropout: number;
  readonly seed: number | undefined;
  readonly seedGenerator: SeedGenerator;
  kernel!: Variable;
  recurrentKernel!: Variable;
  bias: Variable | undefined;
  #masks: { input?: Tensor[]; state?: Tensor[] } | undefined;

  constructor(options: SimpleCellOptions) {
    super(options);
    this.units = options.units;
    this.activation = activationOf(options.activation, 'tanh');
    this.useBias = options.useBias ?? true;
    this.kernelInitializer = resolveInitializer(options.kernelInitializer ?? 'glorotUniform');
    this.recurrentInitializer = resolveInitializer(options.recurrentInitializer ?? 'orthogonal');
    this.biasInitializer = resolveInitializer(options.biasInitializer ?? 'zeros');
    this.kernelRegularizer = resolveRegularizer(options.kernelRegularizer);
    this.recurrentRegularizer = resolveRegularizer(options.recurrentRegularizer);
    this.biasRegularizer = resolveRegularizer(options.biasRegularizer);
    this.kernelConstraint = resolveConstraint(options.kernelConstraint);
    this.recurrentConstraint = resolveConstraint(options.recurrentConstraint);
    this.biasConstraint = resolveConstraint(options.biasConstraint);
    this.dropout = Math.min(1, Math.max(0, options.dropout ?? 0));
    this.recurrentDropout = Math.min(1, Math.max(0, options.recurrentDropout ?? 0));
    this.seed = options.seed;
    this.seedGenerator = new SeedGenerator(options.seed);
  }

  override build(inputShape: Shape): void {
    this.addWeights([knownSize(this, inputShape, -1)], [this.units]);
  }

  /** The weights on input and state; the axes given come before that of the gates. */
  protected addWeights(input: readonly number[], state: readonly number[]): void {
    const columns = this.gates * this.units;
    this.kernel = this.addWeight('kernel', [...input, columns], {
      initializer: this.kernelInitializer,
      regularizer: this.kernelRegularizer,
      constraint: this.kernelConstraint,
    });
    this.recurrentKernel = this.addWeight('recurrent_kernel', [...state, columns], {
      initializer: this.recurrentInitializer,
      regularizer: this.recurrentRegularizer,
      constraint: this.recurrentConstraint,
    });
    if (!this.useBias) return;
    this.bias = this.addWeight('bias', this.biasShape, {
      initializer: this.firstBias(),
      regularizer: this.biasRegularizer,
      constraint: this.biasConstraint,
    });
  }

  override get bfloat16Properties(): readonly string[] {
    return ['kernel', 'recurrentKernel'];
  }

  protected get biasShape(): number[] {
    return [this.gates * this.units];
  }

  protected firstBias(): InitializerSpec {
    return this.biasInitializer;
  }

  override get outputSize(): number {
    return this.units;
  }

  override beginSequence(): void {
    this.#masks = {};
  }

  override endSequence(): void {
    this.#masks = undefined;
  }

  /** Keras draws a mask per gate where there is recurrent dropout, else one for all. */
  protected get maskCount(): number {
    return this.recurrentDropout > 0 ? this.gates : 1;
  }

  /** x · weight by gates, with the dropout masks of this sequence on x. */
  protected project(
    x: Tensor,
    weight: Operand,
    which: 'input' | 'state',
    training: boolean,
    gates = this.gates,
  ): Tensor {
    const masks = training ? this.masksFor(x, which) : undefined;
    if (!masks) return this.transform(x, weight, which);
    if (masks.length === 1) return this.transform(multiply(x, masks[0]!), weight, which);
    const parts = split(weight, gates, -1);
    return concatenate(
      parts.map((part, g) => this.transform(multiply(x, masks[g]!), part, which)),
      this.featureAxis,
    );
  }

  /** What the weights do to the input or the state. */
  protected transform(x: Tensor, weight: Operand, _which: 'input' | 'state'): Tensor {
    return matmul(x, weight);
  }

  /** Where the gates lie side by side. */
  protected get featureAxis(): number {
    return -1;
  }

  protected masksFor(x: Tensor, which: 'input' | 'state'): Tensor[] | undefined {
    const rate = which === 'input' ? this.dropout : this.recurrentDropout;
    if (!this.drops(rate)) return undefined;
    const known = this.#masks?.[which];
    if (known) return known;
    const drawn = Array.from({ length: this.maskCount }, () => this.mask(x, rate));
    if (this.#masks) this.#masks[which] = drawn;
    return drawn;
  }

  /** Keras's gated cells ignore a rate of 1. */
  protected drops(rate: number): boolean {
    return rate > 0 && rate < 1;
  }

  private mask(x: Tensor, rate: number): Tensor {
    return rate === 1 ? zerosLike(x) : dropWith(onesLike(x), this.seedGenerator.next(), rate);
  }

  /** Attributes of the engine's op beside those that every recurrent op has. */
  protected fusedAttributes(): Record<string, AttrValue> | undefined {
    const activation = fusedName(this.activation);
    return activation === undefined ? undefined : { activation };
  }

  /** One op of the engine, unless an activation is not among its own or the state has dropout. */
  override sequence(x: Tensor, states: States | undefined, options: SequenceOptions): SequenceResult | undefined {
    const attributes = this.fusedAttributes();
    const { mask, training } = options;
    if (!attributes || x.rank !== 3 || (training && this.drops(this.recurrentDropout))) return undefined;
    const input = training && this.drops(this.dropout) ? this.dropSequence(x) : x;
    const operands: Operand[] = [input, this.kernel, this.recurrentKernel];
    if (this.bias) operands.push(this.bias);
    if (states) operands.push(...(states as readonly Tensor[]));
    if (mask) operands.push(cast(mask, 'bool'));
    const [last, sequence, ...rest] = emitParts(this.op, operands, {
      ...attributes,
      backwards: options.backwards,
      zeroOutput: options.zeroOutput,
      bias: this.bias !== undefined,
      state: states !== undefined,
      mask: mask !== undefined,
    });
    const count = Array.isArray(this.stateSize) ? this.stateSize.length : 1;
    return { last: last!, sequence: sequence!, states: rest.slice(0, count) };
  }

  private dropSequence(x: Tensor): Tensor {
    if (this.dropout === 1) return zerosLike(x);
    return dropWith(x, this.seedGenerator.next(), this.dropout, [x.dims[0]!, 1, x.dims[2]!]);
  }

  protected withBias(x: Tensor, bias: Operand | undefined = this.bias): Tensor {
    return bias === undefined ? x : add(x, bias);
  }
}

export function activationOf(spec: ActivationSpec | null | undefined, fallback: ActivationSpec): Activation {
  return spec === null ? linear : resolveActivation(spec ?? fallback);
}

/** The engine's name of an activation that its fused ops know. */
export function fusedName(activation: Activation): string | undefined {
  const name = camelCase(activationName(activation) ?? '');
  return fused.has(name) ? name : undefined;
}
