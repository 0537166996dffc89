import { type Config, checked, type OptionTable, optionsFromConfig } from '../config.js';
import { ChainruleError } from '../errors.js';
import type { StateVariable } from '../graph/state.js';
import type { Tensor } from '../graph/tensor.js';
import { NDArray } from '../ndarray.js';
import { divideNoNan } from '../ops/functions.js';
import { add, greater, greaterEqual, less, logicalAnd, matmul, multiply, notEqual, subtract } from '../ops/math.js';
import { cast, float, type Operand } from '../ops/operands.js';
import { argmax, sum } from '../ops/reduce.js';
import { eye, oneHot, reshape, take, transpose } from '../ops/shape.js';
import * as rules from '../rules.js';
import { type Direction, Metric, type MetricOptions, metricFamily } from './metric.js';

export interface MeanIoUOptions extends MetricOptions {
  numClasses: number;
  /** Places whose target is this class don't count. */
  ignoreClass?: number | undefined;
  /** Targets are class numbers; false: one-hot or scores. Default true. */
  sparseYTrue?: boolean;
  /** Predictions are class numbers; false: scores. Default true. */
  sparseYPred?: boolean;
  /** Of the classes, where they are not class numbers. Default -1. */
  axis?: number;
}

export interface IoUOptions extends MeanIoUOptions {
  /** The classes whose mean is wanted. */
  targetClassIds: readonly number[];
}

/**
 * Intersection over union: true positives / (true positives + false positives + false negatives), mean over classes
 * that occur (https://keras.io/api/metrics/segmentation_metrics/).
 */
export class IoU extends Metric {
  static override readonly options: OptionTable = {
    numClasses: rules.required(rules.integer(1), '2'),
    targetClassIds: rules.required(rules.listOf(rules.integer(0)), '[0, 1]'),
    ignoreClass: rules.integer(),
    sparseYTrue: rules.flag,
    sparseYPred: rules.flag,
    axis: rules.integer(),
  };
  static override readonly neutral = { dtype: 'int64' };

  /** Keras writes whichever dtype it counts in; here that is always an integer. */
  static fromConfig<T extends IoU>(this: new (options: never) => T, { dtype: _, ...config }: Config): T {
    // biome-ignore lint/complexity/noThisInStatic: the class that it is called on
    return new this(optionsFromConfig(config, this) as never);
  }

  override readonly direction: Direction = 'up';
  readonly numClasses: number;
  readonly targetClassIds: readonly number[];
  readonly ignoreClass: number | undefined;
  readonly sparseYTrue: boolean;
  readonly sparseYPred: boolean;
  readonly axis: number;
  /** Counts by target and prediction; whole numbers, as Keras's, whose default dtype here is int. */
  private readonly counts: StateVariable;

  constructor(options: IoUOptions) {
    super(options);
    this.numClasses = options.numClasses;
    this.targetClassIds = options.targetClassIds;
    this.ignoreClass = options.ignoreClass;
    this.sparseYTrue = options.sparseYTrue ?? true;
    this.sparseYPred = options.sparseYPred ?? true;
    this.axis = options.axis ?? -1;
    const outside = this.targetClassIds.find((id) => !Number.isInteger(id) || id < 0 || id >= this.numClasses);
    if (outside !== undefined)
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `${this.className}: target class ${outside} is not one of the classes 0 … ${this.numClasses - 1}.`,
      );
    this.counts = this.addState('total_confusion_matrix', [this.numClasses, this.numClasses], 'int32');
  }

  override updateState(yTrue: Operand, yPred: Operand, sampleWeight?: Operand): void {
    const ids = (value: Operand, sparse: boolean): Tensor =>
      reshape(cast(sparse ? value : argmax(value, { axis: this.axis }), 'int32'), [-1]);
    const [target, pred] = [ids(yTrue, this.sparseYTrue), ids(yPred, this.sparseYPred)];
    const inside = (of: Tensor): Tensor => logicalAnd(greaterEqual(of, 0), less(of, this.numClasses));
    let counted = logicalAnd(inside(target), inside(pred));
    if (this.ignoreClass !== undefined) counted = logicalAnd(counted, notEqual(target, this.ignoreClass));
    // Keras casts weights to the dtype of the counts, which cuts off fractions.
    let weight = float(counted);
    if (sampleWeight !== undefined) weight = multiply(weight, float(reshape(cast(sampleWeight, 'int32'), [-1])));
    const rows = multiply(oneHot(target, this.numClasses), reshape(weight, [-1, 1]));
    const batch = matmul(transpose(rows), oneHot(pred, this.numClasses));
    this.counts.assign(add(this.counts.read(), cast(batch, 'int32')));
  }

  override result(): Tensor {
    const counts = float(this.counts.read());
    const hits = sum(multiply(counts, eye(this.numClasses)), { axis: 0 });
    const union = subtract(add(sum(counts, { axis: 0 }), sum(counts, { axis: 1 })), hits);
    const chosen = new NDArray(Int32Array.from(this.targetClassIds));
    const wanted = (values: Tensor): Tensor => take(values, chosen);
    const occurs = float(greater(wanted(union), 1e-9));
    return divideNoNan(sum(divideNoNan(wanted(hits), wanted(union))), sum(occurs));
  }
}

/** IoU of all classes. */
export class MeanIoU extends IoU {
  static override readonly options: OptionTable = { targetClassIds: 'local' };

  constructor(options: MeanIoUOptions) {
    super({
      ...options,
      targetClassIds: Array.from({ length: checked(new.target, options).numClasses }, (_, id) => id),
    });
  }
}

/** IoU of one-hot targets. */
export class OneHotIoU extends IoU {
  constructor(options: Omit<IoUOptions, 'sparseYTrue'>) {
    super({ sparseYPred: false, ...checked(new.target, options), sparseYTrue: false });
  }

  override getConfig(): Record<string, unknown> {
    const { sparse_y_true: _, ...config } = super.getConfig();
    return config;
  }
}

/** IoU of all classes, one-hot targets. */
export class OneHotMeanIoU extends MeanIoU {
  constructor(options: Omit<MeanIoUOptions, 'sparseYTrue'>) {
    super({ sparseYPred: false, ...checked(new.target, options), sparseYTrue: false });
  }

  override getConfig(): Record<string, unknown> {
    const { sparse_y_true: _, ...config } = super.getConfig();
    return config;
  }
}

export interface BinaryIoUOptions extends MetricOptions {
  /** Default [0, 1]. */
  targetClassIds?: readonly number[];
  /** Predictions of at least this are class 1. Default 0.5. */
  threshold?: number;
}

/** IoU of two classes, by a threshold. */
export class BinaryIoU extends IoU {
  static override readonly options: OptionTable = {
    numClasses: 'local',
    targetClassIds: rules.listOf(rules.integer(0)),
    threshold: rules.number,
  };
  readonly threshold: number;

  constructor(given: BinaryIoUOptions = {}) {
    const { targetClassIds = [0, 1], threshold = 0.5, ...options } = checked(new.target, given);
    super({ ...options, numClasses: 2, targetClassIds });
    this.threshold = threshold;
  }

  override updateState(yTrue: Operand, yPred: Operand, sampleWeight?: Operand): void {
    super.updateState(yTrue, cast(greaterEqual(float(yPred), this.threshold), 'int32'), sampleWeight);
  }

  override getConfig(): Record<string, unknown> {
    const { name, target_class_ids, threshold } = super.getConfig();
    return { name, target_class_ids, threshold };
  }
}

metricFamily.add(IoU).add(MeanIoU).add(OneHotIoU).add(OneHotMeanIoU).add(BinaryIoU);
