import type { OptionTable } from '../config.js';
import type { Tensor } from '../graph/tensor.js';
import { notEqual, where } from '../ops/math.js';
import { cast } from '../ops/operands.js';
import { any } from '../ops/reduce.js';
import { squeeze } from '../ops/shape.js';
import * as rules from '../rules.js';
import { Layer, type LayerOptions } from './layer.js';

/** Steps whose features all equal `maskValue` are skipped by later layers and become 0 (https://keras.io/api/layers/core_layers/masking/). */
export class Masking extends Layer {
  static override readonly options: OptionTable = { maskValue: rules.orInfinite(rules.number) };
  readonly maskValue: number;

  constructor(options: LayerOptions & { maskValue?: number } = {}) {
    super(options);
    this.maskValue = options.maskValue ?? 0;
    this.supportsMasking = true;
  }

  override call(x: Tensor): Tensor {
    // As the steps are, which were rounded before they come here.
    const value = this.rounds ? cast(cast(this.maskValue, 'bfloat16'), 'float32') : this.maskValue;
    const kept = any(notEqual(x, value), { axis: -1, keepdims: true });
    const result = where(kept, x, 0);
    result.mask = squeeze(kept, -1);
    return result;
  }
}
