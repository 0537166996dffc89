import type { OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import { customGradient } from '../../graph/grad.js';
import type { Shape } from '../../graph/tensor.js';
import { Variable } from '../../graph/variable.js';
import { TruncatedNormal } from '../../initializers/index.js';
import { divide, equal, matmul, where } from '../../ops/math.js';
import { all, normalize } from '../../ops/reduce.js';
import { reshape } from '../../ops/shape.js';
import * as rules from '../../rules.js';
import { type LayerSpec, resolveLayer } from '../family.js';
import { knownSize } from '../kernel_layer.js';
import { type CallContext, Layer, type LayerOptions, type TensorStructure } from '../layer.js';

export interface SpectralNormalizationOptions extends LayerOptions {
  /** A layer with a kernel or embeddings. */
  layer: LayerSpec;
  /** Steps of the power iteration in each training step. Default 1. */
  powerIterations?: number;
}

/**
 * Divides the kernel of a layer by its largest singular value, estimated anew in every training step
 * (https://keras.io/api/layers/normalization_layers/spectral_normalization/, https://arxiv.org/abs/1802.05957).
 */
export class SpectralNormalization extends Layer {
  static override readonly options: OptionTable = {
    layer: { ...rules.required(rules.anything, 'layers.dense({ units: 64 })'), kind: 'layer' },
    powerIterations: rules.integer(1),
  };
  readonly layer: Layer;
  readonly powerIterations: number;
  /** That of the layer inside, and the first weight of this one, as in Keras. */
  kernel!: Variable;
  vectorU!: Variable;

  constructor(options: SpectralNormalizationOptions) {
    super(options);
    this.layer = resolveLayer(options.layer);
    this.powerIterations = options.powerIterations ?? 1;
    this.supportsMasking = this.layer.supportsMasking;
  }

  override build(inputShape: Shape): void {
    this.layer.build(inputShape);
    this.inputSpec = { axes: { [-1]: knownSize(this, inputShape, -1) } };
    this.kernel = this.weightOf(this.layer);
    this.vectorU = this.addWeight('vector_u', [1, this.kernel.shape.at(-1)!], {
      initializer: new TruncatedNormal({ stddev: 0.02 }),
      trainable: false,
    });
  }

  private weightOf(layer: Layer): Variable {
    const { kernel, embeddings } = layer as { kernel?: unknown; embeddings?: unknown };
    const weight = kernel ?? embeddings;
    if (weight instanceof Variable) return weight;
    throw new ChainruleError(
      'ERR_CHAINRULE_VALUE',
      `layer "${this.name}" (SpectralNormalization): ${layer.className} has neither kernel nor embeddings.`,
      { details: { layer: this.name } },
    );
  }

  override call(inputs: TensorStructure, { training }: CallContext): TensorStructure {
    if (training) this.normalizeKernel();
    return this.layer.apply(inputs, { training });
  }

  private normalizeKernel(): void {
    const { kernel } = this;
    // The kernel that is assigned is the one that gradients are asked for: they do not go through the division.
    const normalized = customGradient((old) => {
      const weights = reshape(old, [-1, kernel.shape.at(-1)!]);
      let [u, v] = [this.vectorU.read(), this.vectorU.read()];
      for (let i = 0; i < this.powerIterations; i++) {
        v = normalize(matmul(u, weights, { transposeB: true }), { epsilon: 1e-7 });
        u = normalize(matmul(v, weights), { epsilon: 1e-7 });
      }
      const sigma = reshape(matmul(matmul(v, weights), u, { transposeB: true }), []);
      // A kernel of zeros has no direction.
      const empty = all(equal(old, 0));
      this.vectorU.assign(where(empty, this.vectorU, u));
      return { value: where(empty, old, divide(old, sigma)), gradient: (dy) => dy };
    });
    kernel.assign(normalized(kernel.read()));
  }
}
