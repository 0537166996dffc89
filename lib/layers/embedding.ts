import type { Config, OptionTable, Serialized } from '../config.js';
import { type Constraint, type ConstraintSpec, resolveConstraint } from '../constraints/index.js';
import type { Tensor } from '../graph/tensor.js';
import { currentTrace } from '../graph/trace.js';
import type { Variable } from '../graph/variable.js';
import { type Initializer, type InitializerSpec, resolveInitializer } from '../initializers/index.js';
import { notEqual } from '../ops/math.js';
import { cast } from '../ops/operands.js';
import { takeInt8 } from '../ops/quantized.js';
import { take } from '../ops/shape.js';
import { type Regularizer, type RegularizerSpec, resolveRegularizer } from '../regularizers/index.js';
import * as rules from '../rules.js';
import { Layer, type LayerOptions } from './layer.js';
import { addInt8, checkQuantizationConfig, type Int8Weight, quantizationConfig } from './quantization.js';

export interface EmbeddingOptions extends LayerOptions {
  /** Number of different ids. */
  inputDim: number;
  /** Size of a vector. */
  outputDim: number;
  /** Default 'uniform' (±0.05). */
  embeddingsInitializer?: InitializerSpec;
  embeddingsRegularizer?: RegularizerSpec;
  embeddingsConstraint?: ConstraintSpec;
  /** Id 0 means padding: later layers skip it (default false). */
  maskZero?: boolean;
  /** In files: Keras's rule for a quantized layer, its default only. */
  quantizationConfig?: Serialized;
}

/** Ids become vectors (https://keras.io/api/layers/core_layers/embedding/). */
export class Embedding extends Layer {
  static override readonly options: OptionTable = {
    inputDim: rules.required(rules.integer(1), '1000'),
    outputDim: rules.required(rules.integer(1), '64'),
    embeddingsInitializer: 'initializer',
    embeddingsRegularizer: 'regularizer',
    activityRegularizer: 'regularizer',
    embeddingsConstraint: 'constraint',
    maskZero: rules.flag,
    quantizationConfig: 'local',
  };
  static override readonly int8 = true;
  readonly inputDim: number;
  readonly outputDim: number;
  readonly embeddingsInitializer: Initializer;
  readonly embeddingsRegularizer: Regularizer | undefined;
  readonly embeddingsConstraint: Constraint | undefined;
  readonly maskZero: boolean;
  embeddings!: Variable;
  /** Of embeddings stored as int8: what each row is to be divided by. */
  embeddingsScale: Variable | undefined;
  protected override autocast = false;

  constructor(options: EmbeddingOptions) {
    super(options);
    checkQuantizationConfig(this, options.quantizationConfig);
    this.inputDim = options.inputDim;
    this.outputDim = options.outputDim;
    this.embeddingsInitializer = resolveInitializer(options.embeddingsInitializer ?? 'uniform');
    this.embeddingsRegularizer = resolveRegularizer(options.embeddingsRegularizer);
    this.embeddingsConstraint = resolveConstraint(options.embeddingsConstraint);
    this.maskZero = options.maskZero ?? false;
    this.supportsMasking = this.maskZero;
  }

  override get int8Weight(): Int8Weight | undefined {
    if (!this.storesInt8) return undefined;
    const matrix = [this.inputDim, this.outputDim] as const;
    return { weight: 'embeddings', scale: 'embeddingsScale', matrix, scales: 'rows' };
  }

  override get bfloat16Properties(): readonly string[] {
    return ['embeddings'];
  }

  override getConfig(): Config {
    return { ...super.getConfig(), quantization_config: quantizationConfig(this) };
  }

  override build(): void {
    if (this.quantization === 'int8') {
      const { values, scale } = addInt8(this, 'embeddings', [this.inputDim, this.outputDim], this.int8Weight);
      this.embeddings = values;
      this.embeddingsScale = scale;
      return;
    }
    this.embeddings = this.addWeight('embeddings', [this.inputDim, this.outputDim], {
      initializer: this.embeddingsInitializer,
      regularizer: this.embeddingsRegularizer,
      constraint: this.embeddingsConstraint,
    });
  }

  override call(given: Tensor): Tensor {
    // Checks find the column of the data.
    const ids = given.fedAs ?? given;
    currentTrace('Embedding').tableReads.push({ ids, limit: this.inputDim, layer: this.name });
    return this.embeddingsScale
      ? takeInt8(this.embeddings, this.embeddingsScale, ids)
      : take(this.embeddings, cast(ids, 'int32'));
  }

  override computeMask(ids: Tensor): Tensor | undefined {
    return this.maskZero ? notEqual(ids, 0) : undefined;
  }
}
