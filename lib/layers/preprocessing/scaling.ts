import type { OptionTable } from '../../config.js';
import type { Tensor } from '../../graph/tensor.js';
import { add, multiply } from '../../ops/math.js';
import * as rules from '../../rules.js';
import { Layer, type LayerOptions } from '../layer.js';

/** x · scale + offset, for pixels in particular (https://keras.io/api/layers/preprocessing_layers/image_preprocessing/rescaling/). */
export class Rescaling extends Layer {
  static override readonly options: OptionTable = {
    scale: rules.required(rules.nested(rules.number), '1 / 255'),
    offset: rules.nested(rules.number),
  };
  readonly scale: number | readonly number[];
  readonly offset: number | readonly number[];

  constructor(options: LayerOptions & { scale: number | readonly number[]; offset?: number | readonly number[] }) {
    super(options);
    this.scale = options.scale;
    this.offset = options.offset ?? 0;
    this.supportsMasking = true;
  }

  override call(x: Tensor): Tensor {
    return add(multiply(x, this.scale), this.offset);
  }
}

/** The input as it is. */
export class Identity extends Layer {
  constructor(options: LayerOptions = {}) {
    super(options);
    this.supportsMasking = true;
  }

  protected override autocast = false;

  override call(x: Tensor): Tensor {
    return x;
  }
}
