import type { OptionTable } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import type { Shape, Tensor } from '../../graph/tensor.js';
import { trace } from '../../graph/traced.js';
import type { Variable } from '../../graph/variable.js';
import { NDArray, shapeText, sizeOf } from '../../ndarray.js';
import { fromNested } from '../../nested.js';
import { add, divide, maximum, multiply, sqrt, subtract } from '../../ops/math.js';
import { moments } from '../../ops/reduce.js';
import { reshapeDims } from '../../ops/shape.js';
import * as rules from '../../rules.js';
import { knownSize } from '../kernel_layer.js';
import { Layer, type LayerOptions } from '../layer.js';
import { type AdaptData, batchesOf } from './batches.js';

type Numbers = number | readonly number[] | readonly (readonly number[])[];

export interface NormalizationOptions extends LayerOptions {
  /** Axes that have a mean and variance for each place; null: one for all numbers. Default -1. */
  axis?: number | readonly number[] | null;
  /** Given together; otherwise adapt() learns them. */
  mean?: Numbers;
  variance?: Numbers;
  /** From normalised numbers back to the original ones. Default false. */
  invert?: boolean;
}

/** (x − mean) / √variance with moments of the training data (https://keras.io/api/layers/preprocessing_layers/numerical/normalization/). */
export class Normalization extends Layer {
  static override readonly options: OptionTable = {
    axis: { ...rules.orList(rules.integer()), kind: 'nullable' },
    mean: 'value',
    variance: 'value',
    invert: rules.flag,
  };
  readonly axis: readonly number[];
  readonly mean: Numbers | undefined;
  readonly variance: Numbers | undefined;
  readonly invert: boolean;
  adaptMean: Variable | undefined;
  adaptVariance: Variable | undefined;
  count: Variable | undefined;
  /** Axes with moments of their own, ascending, and the shape that the moments meet the input in. */
  private kept: readonly number[] = [];
  private broadcast: readonly number[] = [];

  constructor(options: NormalizationOptions = {}) {
    super(options);
    const { axis = -1 } = options;
    this.axis = axis === null ? [] : typeof axis === 'number' ? [axis] : axis;
    this.mean = options.mean;
    this.variance = options.variance;
    this.invert = options.invert ?? false;
    this.supportsMasking = true;
    const shapes = [this.mean, this.variance].map((value) => value !== undefined && fromNested(value).shape);
    if (shapes[0] === false && shapes[1] === false) return;
    if (!shapes[0] || !shapes[1] || shapes[0].join() !== shapes[1].join() || shapes[0].length > this.axis.length)
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `Normalization: mean and variance are given together, in one shape with at most ${this.axis.length} axes.`,
      );
  }

  override build(inputShape: Shape): void {
    const rank = inputShape.length;
    if (this.axis.some((axis) => axis < -rank || axis >= rank))
      throw new ChainruleError(
        'ERR_CHAINRULE_SHAPE',
        `layer "${this.name}" (Normalization): axis [${this.axis}] does not exist in an input of shape ${shapeText(inputShape)}.`,
        { details: { layer: this.name } },
      );
    this.kept = this.axis.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);
    const shape = this.kept.map((axis) => knownSize(this, inputShape, axis));
    this.broadcast = inputShape.map((_, i) => (this.kept.includes(i) ? shape[this.kept.indexOf(i)]! : 1));
    this.inputSpec = { rank, axes: Object.fromEntries(this.kept.map((axis, i) => [axis, shape[i]!])) };
    if (this.mean !== undefined) return;
    this.adaptMean = this.addWeight('mean', shape, { initializer: 'zeros', trainable: false });
    this.adaptVariance = this.addWeight('variance', shape, { initializer: 'ones', trainable: false });
    // Keras keeps a count for old files; it stays 0.
    this.count = this.addWeight('count', [], { initializer: 'zeros', dtype: 'int32', trainable: false });
  }

  override call(x: Tensor): Tensor {
    const mean = this.moment(this.mean, this.adaptMean);
    const deviation = maximum(sqrt(this.moment(this.variance, this.adaptVariance)), 1e-7);
    return this.invert ? add(mean, multiply(x, deviation)) : divide(subtract(x, mean), deviation);
  }

  /** A given moment stands at the last kept axes, a learned one at all of them. */
  private moment(given: Numbers | undefined, learned: Variable | undefined): Tensor | NDArray {
    if (learned) return reshapeDims(learned.read(), this.broadcast);
    const values = fromNested(given!);
    const shape = this.broadcast.map(() => 1);
    values.shape.forEach((size, i) => {
      shape[this.kept[this.kept.length - values.rank + i]!] = size;
    });
    return new NDArray(Float32Array.from(values.data), shape);
  }

  /** Learns mean and variance from an array or from batches; what was learned before is forgotten. */
  async adapt(data: AdaptData): Promise<void> {
    if (this.mean !== undefined)
      throw new ChainruleError(
        'ERR_CHAINRULE_STATE',
        `layer "${this.name}" (Normalization): mean and variance were given; adapt() has nothing to learn.`,
      );
    let step: ReturnType<typeof this.momentsOf> | undefined;
    const total = { mean: [] as number[], variance: [] as number[], count: 0 };
    for await (const batch of batchesOf(`${this.name}.adapt`, data)) {
      if (!this.built) this.build([null, ...batch.shape.slice(1)]);
      step ??= this.momentsOf();
      const fits = batch.rank === this.broadcast.length && this.kept.every((i) => batch.shape[i] === this.broadcast[i]);
      if (!fits)
        throw new ChainruleError(
          'ERR_CHAINRULE_SHAPE',
          `layer "${this.name}" (Normalization): adapt got a batch of shape ${shapeText(batch.shape)} but the layer was built for ${shapeText(this.broadcast.map((size, i) => (this.kept.includes(i) ? size : null)))}.`,
          { details: { layer: this.name } },
        );
      const { mean, variance } = await step.run({ x: batch });
      const rows = sizeOf(batch.shape.filter((_, i) => !this.kept.includes(i)));
      merge(total, mean.data, variance.data, rows);
    }
    await this.adaptMean!.write(new NDArray(Float32Array.from(total.mean), this.adaptMean!.shape));
    await this.adaptVariance!.write(new NDArray(Float32Array.from(total.variance), this.adaptVariance!.shape));
  }

  private momentsOf() {
    const axis = this.broadcast.map((_, i) => i).filter((i) => !this.kept.includes(i));
    return trace(({ x }: { x: Tensor }) => moments(x, { axis }));
  }
}

/** Joins the moments of a batch to those of all before (lack-of-fit sum of squares). */
function merge(
  total: { mean: number[]; variance: number[]; count: number },
  mean: ArrayLike<number>,
  variance: ArrayLike<number>,
  count: number,
): void {
  const share = count / (total.count + count);
  total.count += count;
  for (let i = 0; i < mean.length; i++) {
    const [oldMean, oldVariance] = [total.mean[i] ?? 0, total.variance[i] ?? 0];
    const next = oldMean * (1 - share) + mean[i]! * share;
    total.variance[i] =
      (oldVariance + (oldMean - next) ** 2) * (1 - share) + (variance[i]! + (mean[i]! - next) ** 2) * share;
    total.mean[i] = next;
  }
}
