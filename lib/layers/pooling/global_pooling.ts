import type { OptionTable } from '../../config.js';
import type { Tensor } from '../../graph/tensor.js';
import { divide, where } from '../../ops/math.js';
import { max, mean, sum } from '../../ops/reduce.js';
import { expandDims } from '../../ops/shape.js';
import type { DataFormat } from '../../ops/window.js';
import * as rules from '../../rules.js';
import { type CallContext, Layer, type LayerOptions } from '../layer.js';
import { dataFormatOption } from '../spatial.js';

export interface GlobalPoolingOptions extends LayerOptions {
  /** Keep the reduced axes with size 1 (default false). */
  keepdims?: boolean;
  /** Default 'channelsLast'. */
  dataFormat?: DataFormat;
}

abstract class GlobalPooling extends Layer {
  static override readonly options: OptionTable = { dataFormat: 'value', keepdims: rules.flag };
  readonly keepdims: boolean;
  readonly dataFormat: 'channels_last' | 'channels_first';
  /** The spatial axes. */
  protected readonly axis: readonly number[];

  constructor(rank: number, options: GlobalPoolingOptions = {}) {
    super(options);
    this.keepdims = options.keepdims ?? false;
    this.dataFormat = dataFormatOption(this.className, options.dataFormat);
    this.axis = Array.from({ length: rank }, (_, i) => i + (this.dataFormat === 'channels_last' ? 1 : 2));
    this.inputSpec = { rank: rank + 2 };
  }

  protected reduction(): { axis: readonly number[]; keepdims: boolean } {
    return { axis: this.axis, keepdims: this.keepdims };
  }
}

abstract class GlobalAveragePooling extends GlobalPooling {
  override call(x: Tensor, _ctx: CallContext): Tensor {
    return mean(x, this.reduction());
  }
}

abstract class GlobalMaxPooling extends GlobalPooling {
  override call(x: Tensor): Tensor {
    return max(x, this.reduction());
  }
}

/** Means over the steps of [N, steps, features]; masked steps don't count (https://keras.io/api/layers/pooling_layers/global_average_pooling1d/). */
export class GlobalAveragePooling1D extends GlobalAveragePooling {
  constructor(options?: GlobalPoolingOptions) {
    super(1, options);
    this.supportsMasking = true;
  }

  override call(x: Tensor, ctx: CallContext): Tensor {
    if (!ctx.mask) return super.call(x, ctx);
    const counts = expandDims(ctx.mask.cast('float32'), this.dataFormat === 'channels_last' ? 2 : 1);
    return divide(sum(where(counts, x, 0), this.reduction()), sum(counts, this.reduction()));
  }

  override computeMask(): undefined {
    return undefined;
  }
}

export class GlobalAveragePooling2D extends GlobalAveragePooling {
  constructor(options?: GlobalPoolingOptions) {
    super(2, options);
  }
}

export class GlobalAveragePooling3D extends GlobalAveragePooling {
  constructor(options?: GlobalPoolingOptions) {
    super(3, options);
  }
}

export class GlobalMaxPooling1D extends GlobalMaxPooling {
  constructor(options?: GlobalPoolingOptions) {
    super(1, options);
  }
}

export class GlobalMaxPooling2D extends GlobalMaxPooling {
  constructor(options?: GlobalPoolingOptions) {
    super(2, options);
  }
}

export class GlobalMaxPooling3D extends GlobalMaxPooling {
  constructor(options?: GlobalPoolingOptions) {
    super(3, options);
  }
}
