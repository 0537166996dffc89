import { type Activation, type ActivationSpec, resolveActivation } from '../activations/index.js';
import type { Config, OptionTable, Serialized } from '../config.js';
import { type Constraint, type ConstraintSpec, resolveConstraint } from '../constraints/index.js';
import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import type { Variable } from '../graph/variable.js';
import { type Initializer, type InitializerSpec, resolveInitializer } from '../initializers/index.js';
import { add } from '../ops/math.js';
import { type Regularizer, type RegularizerSpec, resolveRegularizer } from '../regularizers/index.js';
import * as rules from '../rules.js';
import { Layer, type LayerOptions } from './layer.js';
import { addInt8, checkQuantizationConfig, type Int8Weight, quantizationConfig } from './quantization.js';

export interface KernelOptions extends LayerOptions {
  activation?: ActivationSpec;
  /** Default true. */
  useBias?: boolean;
  /** Default 'glorotUniform'. */
  kernelInitializer?: InitializerSpec;
  /** Default 'zeros'. */
  biasInitializer?: InitializerSpec;
  kernelRegularizer?: RegularizerSpec;
  biasRegularizer?: RegularizerSpec;
  kernelConstraint?: ConstraintSpec;
  biasConstraint?: ConstraintSpec;
  /** In files: Keras's rule for a quantized layer, its default only. */
  quantizationConfig?: Serialized;
}

/** What layers with a kernel, a bias and an activation share. */
export abstract class KernelLayer extends Layer {
  static override readonly options: OptionTable = {
    activation: 'activation',
    useBias: rules.flag,
    kernelInitializer: 'initializer',
    biasInitializer: 'initializer',
    kernelRegularizer: 'regularizer',
    biasRegularizer: 'regularizer',
    kernelConstraint: 'constraint',
    biasConstraint: 'constraint',
    quantizationConfig: 'local',
  };

  readonly activation: Activation;
  readonly useBias: boolean;
  readonly kernelInitializer: Initializer;
  readonly biasInitializer: Initializer;
  readonly kernelRegularizer: Regularizer | undefined;
  readonly biasRegularizer: Regularizer | undefined;
  readonly kernelConstraint: Constraint | undefined;
  readonly biasConstraint: Constraint | undefined;
  kernel!: Variable;
  /** Of a kernel stored as int8: what each column is to be divided by. */
  kernelScale: Variable | undefined;
  bias: Variable | undefined;

  constructor(options: KernelOptions) {
    super(options);
    checkQuantizationConfig(this, options.quantizationConfig);
    this.activation = resolveActivation(options.activation);
    this.useBias = options.useBias ?? true;
    this.kernelInitializer = resolveInitializer(options.kernelInitializer ?? 'glorotUniform');
    this.biasInitializer = resolveInitializer(options.biasInitializer ?? 'zeros');
    this.kernelRegularizer = resolveRegularizer(options.kernelRegularizer);
    this.biasRegularizer = resolveRegularizer(options.biasRegularizer);
    this.kernelConstraint = resolveConstraint(options.kernelConstraint);
    this.biasConstraint = resolveConstraint(options.biasConstraint);
  }

  /** The kernel as a matrix with scales for its columns, where it can be stored so. */
  protected abstract kernelForm(shape: readonly number[]): Int8Weight | undefined;

  override get int8Weight(): Int8Weight | undefined {
    return this.storesInt8 ? this.kernelForm(this.kernel.shape) : undefined;
  }

  override get bfloat16Properties(): readonly string[] {
    return ['kernel'];
  }

  protected addWeights(
    kernel: readonly number[],
    bias: readonly number[] | undefined,
    kernelInitializer = this.kernelInitializer,
  ): void {
    if (this.quantization === 'int8') {
      const { values, scale } = addInt8(this, 'kernel', kernel, this.kernelForm(kernel));
      this.kernel = values;
      this.kernelScale = scale;
    } else {
      this.kernel = this.addWeight('kernel', kernel, {
        initializer: kernelInitializer,
        regularizer: this.kernelRegularizer,
        constraint: this.kernelConstraint,
      });
    }
    if (!bias) return;
    this.bias = this.addWeight('bias', bias, {
      initializer: this.biasInitializer,
      regularizer: this.biasRegularizer,
      constraint: this.biasConstraint,
    });
  }

  override getConfig(): Config {
    return { ...super.getConfig(), quantization_config: quantizationConfig(this) };
  }

  override get savedWeights(): Variable[] {
    if (!this.kernelScale) return this.ownWeights;
    return [this.kernel, ...(this.bias ? [this.bias] : []), this.kernelScale];
  }

  protected finish(x: Tensor): Tensor {
    return this.activate(this.activation, this.bias ? add(x, this.bias) : x);
  }
}

/** A size in the last (or given) dimension that must be known before weights can be made. */
export function knownSize(layer: Layer, shape: readonly (number | null)[], axis: number): number {
  const size = shape.at(axis);
  if (typeof size === 'number') return size;
  throw new ChainruleError(
    'ERR_CHAINRULE_SHAPE',
    `layer "${layer.name}" (${layer.className}): axis ${axis} of its input [${shape.map(String).join(', ')}] must have a known size before its weights can be made. Give inputShape, or flatten earlier.`,
    { details: { layer: layer.name } },
  );
}
