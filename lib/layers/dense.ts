import type { OptionTable } from '../config.js';
import type { Shape, Tensor } from '../graph/tensor.js';
import { matmul } from '../ops/math.js';
import { matmulInt8 } from '../ops/quantized.js';
import * as rules from '../rules.js';
import { KernelLayer, type KernelOptions, knownSize } from './kernel_layer.js';
import { type Int8Weight, maxInt8Rows } from './quantization.js';

export interface DenseOptions extends KernelOptions {
  /** Size of the output's last axis. */
  units: number;
}

/** act(x · kernel + bias) on the last axis (https://keras.io/api/layers/core_layers/dense/). */
export class Dense extends KernelLayer {
  static override readonly options: OptionTable = { units: rules.required(rules.integer(1), '64') };
  static override readonly int8 = true;
  readonly units: number;

  constructor(options: DenseOptions) {
    super(options);
    this.units = options.units;
    this.inputSpec = { minRank: 2 };
    this.supportsMasking = true;
  }

  protected override kernelForm([features]: readonly number[]): Int8Weight | undefined {
    if (features! > maxInt8Rows) return undefined;
    return { weight: 'kernel', scale: 'kernelScale', matrix: [features!, this.units], scales: 'columns' };
  }

  override build(inputShape: Shape): void {
    const features = knownSize(this, inputShape, -1);
    this.inputSpec = { minRank: 2, axes: { [-1]: features } };
    this.addWeights([features, this.units], this.useBias ? [this.units] : undefined);
  }

  override call(x: Tensor): Tensor {
    return this.finish(this.kernelScale ? matmulInt8(x, this.kernel, this.kernelScale) : matmul(x, this.kernel));
  }
}
