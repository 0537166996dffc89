import type { OptionTable } from '../config.js';
import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { dropWith, SeedGenerator } from '../ops/random.js';
import { zerosLike } from '../ops/shape.js';
import { type CallContext, Layer, type LayerOptions } from './layer.js';

export interface DropoutOptions extends LayerOptions {
  /** The fraction of elements that are zeroed, 0 … 1. */
  rate: number;
  /** Axes of size 1 share one decision; null keeps the input's size. */
  noiseShape?: readonly (number | null)[];
  seed?: number;
}

/** In training, zeroes a fraction of the elements and scales the rest (https://keras.io/api/layers/regularization_layers/dropout/). */
export class Dropout extends Layer {
  static override readonly options: OptionTable = { rate: 'value', noiseShape: 'value', seed: 'value' };
  readonly rate: number;
  readonly noiseShape: readonly (number | null)[] | undefined;
  readonly seed: number | undefined;
  readonly seedGenerator: SeedGenerator;

  constructor(options: DropoutOptions) {
    super(options);
    this.rate = options.rate;
    if (!(this.rate >= 0 && this.rate <= 1))
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `Dropout: rate must be a number from 0 to 1, got ${String(options.rate)}.`,
      );
    this.noiseShape = options.noiseShape;
    this.seed = options.seed;
    this.seedGenerator = new SeedGenerator(options.seed);
    this.supportsMasking = true;
  }

  override call(x: Tensor, { training }: CallContext): Tensor {
    if (!training || this.rate === 0) return x;
    if (this.rate === 1) return zerosLike(x);
    const noise = this.noiseShape?.map((dim, axis) => (dim === 1 ? 1 : x.dims[axis]!));
    return dropWith(x, this.seedGenerator.next(), this.rate, noise);
  }
}
