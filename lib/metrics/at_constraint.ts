import { checked, type OptionTable } from '../config.js';
import type { Tensor } from '../graph/tensor.js';
import { epsilon } from '../losses/align.js';
import { divideNoNan } from '../ops/functions.js';
import { add, greaterEqual, where } from '../ops/math.js';
import type { Operand } from '../ops/operands.js';
import { max } from '../ops/reduce.js';
import * as rules from '../rules.js';
import { type Confusion, confusion } from './confusion.js';
import { type Direction, Metric, type MetricOptions, metricFamily, type RunningSum } from './metric.js';

export interface AtConstraintOptions extends MetricOptions {
  /** Evenly spread thresholds among which the best is looked for. Default 200. */
  numThresholds?: number;
  /** Only this class counts (last axis). */
  classId?: number | undefined;
}

/** The best value of one rate among the thresholds at which another is at least a given number. */
abstract class AtConstraint extends Metric {
  static override readonly options: OptionTable = { classId: rules.integer(), numThresholds: rules.integer(1) };
  override readonly direction: Direction = 'up';
  readonly numThresholds: number;
  readonly classId: number | undefined;
  readonly thresholds: readonly number[];
  private readonly counts: Record<keyof Confusion, RunningSum>;

  constructor(
    options: AtConstraintOptions,
    private readonly limit: number,
  ) {
    super(options);
    this.numThresholds = options.numThresholds ?? 200;
    this.classId = options.classId;
    const n = this.numThresholds;
    // Keras sorts predictions into evenly spread bins: one of exactly 0 is above the lowest threshold.
    this.thresholds = n === 1 ? [0.5] : Array.from({ length: n }, (_, i) => (i === 0 ? -epsilon : i / (n - 1)));
    this.counts = {
      truePositives: this.addSum('true_positives', [n]),
      falsePositives: this.addSum('false_positives', [n]),
      trueNegatives: this.addSum('true_negatives', [n]),
      falseNegatives: this.addSum('false_negatives', [n]),
    };
  }

  override updateState(yTrue: Operand, yPred: Operand, sampleWeight?: Operand): void {
    const { thresholds, classId } = this;
    const batch = confusion(yTrue, yPred, sampleWeight, { thresholds, ...(classId !== undefined && { classId }) });
    for (const [which, sum] of Object.entries(this.counts)) sum.add(batch[which as keyof Confusion]);
  }

  /** What must hold, and what shall be as large as possible, by threshold. */
  protected abstract rates(counts: Confusion): { held: Tensor; best: Tensor };

  override result(): Tensor {
    const { truePositives, falsePositives, trueNegatives, falseNegatives } = this.counts;
    const { held, best } = this.rates({
      truePositives: truePositives.value(),
      falsePositives: falsePositives.value(),
      trueNegatives: trueNegatives.value(),
      falseNegatives: falseNegatives.value(),
    });
    return max(where(greaterEqual(held, this.limit), best, 0));
  }
}

const sensitivity = (c: Confusion): Tensor => divideNoNan(c.truePositives, add(c.truePositives, c.falseNegatives));
const specificity = (c: Confusion): Tensor => divideNoNan(c.trueNegatives, add(c.trueNegatives, c.falsePositives));
const precision = (c: Confusion): Tensor => divideNoNan(c.truePositives, add(c.truePositives, c.falsePositives));

/** https://keras.io/api/metrics/classification_metrics/#sensitivityatspecificity-class */
export class SensitivityAtSpecificity extends AtConstraint {
  static override readonly options: OptionTable = {
    specificity: rules.required(rules.between(0, 1), '0.9'),
  };
  readonly specificity: number;

  constructor(options: AtConstraintOptions & { specificity: number }) {
    super(options, checked(new.target, options).specificity);
    this.specificity = options.specificity;
  }

  protected override rates(counts: Confusion): { held: Tensor; best: Tensor } {
    return { held: specificity(counts), best: sensitivity(counts) };
  }
}

/** https://keras.io/api/metrics/classification_metrics/#specificityatsensitivity-class */
export class SpecificityAtSensitivity extends AtConstraint {
  static override readonly options: OptionTable = {
    sensitivity: rules.required(rules.between(0, 1), '0.9'),
  };
  readonly sensitivity: number;

  constructor(options: AtConstraintOptions & { sensitivity: number }) {
    super(options, checked(new.target, options).sensitivity);
    this.sensitivity = options.sensitivity;
  }

  protected override rates(counts: Confusion): { held: Tensor; best: Tensor } {
    return { held: sensitivity(counts), best: specificity(counts) };
  }
}

/** https://keras.io/api/metrics/classification_metrics/#precisionatrecall-class */
export class PrecisionAtRecall extends AtConstraint {
  static override readonly options: OptionTable = {
    recall: rules.required(rules.between(0, 1), '0.9'),
  };
  readonly recall: number;

  constructor(options: AtConstraintOptions & { recall: number }) {
    super(options, checked(new.target, options).recall);
    this.recall = options.recall;
  }

  protected override rates(counts: Confusion): { held: Tensor; best: Tensor } {
    return { held: sensitivity(counts), best: precision(counts) };
  }
}

/** https://keras.io/api/metrics/classification_metrics/#recallatprecision-class */
export class RecallAtPrecision extends AtConstraint {
  static override readonly options: OptionTable = {
    precision: rules.required(rules.between(0, 1), '0.9'),
  };
  readonly precision: number;

  constructor(options: AtConstraintOptions & { precision: number }) {
    super(options, checked(new.target, options).precision);
    this.precision = options.precision;
  }

  protected override rates(counts: Confusion): { held: Tensor; best: Tensor } {
    return { held: precision(counts), best: sensitivity(counts) };
  }
}

metricFamily.add(SensitivityAtSpecificity).add(SpecificityAtSensitivity).add(PrecisionAtRecall).add(RecallAtPrecision);
