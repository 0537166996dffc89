import type { Config, OptionTable } from '../config.js';
import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { epsilon } from '../losses/align.js';
import { NDArray } from '../ndarray.js';
import { divideNoNan } from '../ops/functions.js';
import {
  add,
  divide,
  equal,
  greater,
  log,
  logicalAnd,
  maximum,
  minimum,
  multiply,
  subtract,
  where,
} from '../ops/math.js';
import { sigmoid } from '../ops/nn.js';
import { type Operand, tensor } from '../ops/operands.js';
import { mean, sum } from '../ops/reduce.js';
import { strided } from '../ops/shape.js';
import * as rules from '../rules.js';
import { confusion } from './confusion.js';
import { type Direction, Metric, type MetricOptions, metricFamily, type RunningSum } from './metric.js';

export interface AUCOptions extends MetricOptions {
  /** Default 200. */
  numThresholds?: number;
  /** Default 'ROC'. 'PRGAIN': precision-recall-gain (Flach and Kull, 2015). */
  curve?: 'ROC' | 'PR' | 'PRGAIN';
  summationMethod?: 'interpolation' | 'minoring' | 'majoring';
  /** Instead of evenly spread ones. */
  thresholds?: readonly number[];
  /** Average the areas of the labels rather than mixing all predictions. */
  multiLabel?: boolean;
  numLabels?: number;
  labelWeights?: readonly number[];
  fromLogits?: boolean;
}

/** Files of the first versions hold the ends, too, which lie just outside. */
const threshold: rules.Rule = {
  expected: 'a number from 0 to 1',
  allows: (value) => rules.between(-epsilon, 1 + epsilon).allows(value),
};

type Counts = Record<'tp' | 'fp' | 'tn' | 'fn', Tensor>;

/** The area under the ROC or precision-recall curve (https://keras.io/api/metrics/classification_metrics/#auc-class). */
export class AUC extends Metric {
  static override readonly options: OptionTable = {
    numThresholds: rules.integer(2),
    curve: 'value',
    summationMethod: 'value',
    multiLabel: rules.flag,
    numLabels: rules.integer(1),
    labelWeights: rules.listOf(rules.atLeast(0)),
    fromLogits: rules.flag,
    thresholds: rules.listOf(threshold),
  };
  override readonly direction: Direction = 'up';
  readonly curve: 'ROC' | 'PR' | 'PRGAIN';
  readonly summationMethod: 'interpolation' | 'minoring' | 'majoring';
  readonly multiLabel: boolean;
  readonly numLabels: number | undefined;
  readonly labelWeights: readonly number[] | undefined;
  readonly fromLogits: boolean;
  readonly thresholds: readonly number[];
  private readonly given: boolean;
  private state: Record<keyof Counts, RunningSum> | undefined;

  constructor(options: AUCOptions = {}) {
    super(options);
    this.curve = oneOf('curve', options.curve ?? 'ROC', ['ROC', 'PR', 'PRGAIN']);
    this.summationMethod = oneOf('summationMethod', options.summationMethod ?? 'interpolation', [
      'interpolation',
      'minoring',
      'majoring',
    ]);
    this.multiLabel = options.multiLabel ?? false;
    this.numLabels = options.numLabels;
    this.labelWeights = options.labelWeights;
    this.fromLogits = options.fromLogits ?? false;
    const given = options.thresholds?.filter((one) => rules.between(0, 1).allows(one)).sort((a, b) => a - b);
    this.given = given !== undefined;
    const count = options.numThresholds ?? 200;
    const inner = given ? given : Array.from({ length: count - 2 }, (_, i) => (i + 1) / (count - 1));
    this.thresholds = [-epsilon, ...inner, 1 + epsilon];
  }

  get numThresholds(): number {
    return this.thresholds.length;
  }

  /** As Keras: thresholds stand in files where they were given, without the ends that are added to them. */
  override getConfig(): Config {
    const { thresholds: _, ...config } = super.getConfig();
    return this.given ? { ...config, thresholds: this.thresholds.slice(1, -1) } : config;
  }

  override updateState(yTrue: Operand, yPred: Operand, sampleWeight?: Operand): void {
    const pred = this.fromLogits ? sigmoid(yPred) : tensor(yPred);
    const counts = confusion(yTrue, pred, sampleWeight, this);
    const state = this.counters(pred);
    state.tp.add(counts.truePositives);
    state.fp.add(counts.falsePositives);
    state.tn.add(counts.trueNegatives);
    state.fn.add(counts.falseNegatives);
  }

  override result(): Tensor {
    const state = this.counters();
    const counts: Counts = { tp: state.tp.value(), fp: state.fp.value(), tn: state.tn.value(), fn: state.fn.value() };
    const areas =
      this.curve === 'PR' && this.summationMethod === 'interpolation'
        ? this.interpolatedPR(counts)
        : this.riemann(counts);
    const byLabel = sum(areas, { axis: 0 });
    if (!this.multiLabel) return byLabel;
    if (!this.labelWeights) return mean(byLabel);
    const weights = new NDArray(Float32Array.from(this.labelWeights));
    return divideNoNan(sum(multiply(byLabel, weights)), sum(weights));
  }

  /** Made with the first batch, because only then the number of labels is known. */
  private counters(pred?: Tensor): Record<keyof Counts, RunningSum> {
    if (this.state) return this.state;
    const labels = this.numLabels ?? pred?.dims.at(-1);
    if (this.multiLabel && labels === undefined)
      throw new ChainruleError('ERR_CHAINRULE_STATE', 'AUC: with multiLabel, result needs a batch or numLabels first.');
    const shape = this.multiLabel ? [this.numThresholds, labels!] : [this.numThresholds];
    this.state = {
      tp: this.addSum('true_positives', shape),
      fp: this.addSum('false_positives', shape),
      tn: this.addSum('true_negatives', shape),
      fn: this.addSum('false_negatives', shape),
    };
    return this.state;
  }

  private left(x: Tensor): Tensor {
    return strided(x, 0, 0, this.numThresholds - 1);
  }

  private right(x: Tensor): Tensor {
    return strided(x, 0, 1, this.numThresholds);
  }

  private riemann({ tp, fp, tn, fn }: Counts): Tensor {
    const [x, y] = points[this.curve]({ tp, fp, tn, fn });
    const [from, to] = [this.left(y), this.right(y)];
    const height = {
      interpolation: () => divide(add(from, to), 2),
      minoring: () => minimum(from, to),
      majoring: () => maximum(from, to),
    }[this.summationMethod]();
    return multiply(height, subtract(this.left(x), this.right(x)));
  }

  /** Davis and Goadrich: between two points, true positives grow linearly with positives. */
  private interpolatedPR({ tp, fp, fn }: Counts): Tensor {
    const positives = add(tp, fp);
    const [from, to] = [this.left(positives), this.right(positives)];
    const gain = subtract(this.left(tp), this.right(tp));
    const slope = divideNoNan(gain, maximum(subtract(from, to), 0));
    const intercept = subtract(this.right(tp), multiply(slope, to));
    const both = logicalAnd(greater(from, 0), greater(to, 0));
    const safe = where(both, divideNoNan(from, maximum(to, 0)), 1);
    return divideNoNan(
      multiply(slope, add(gain, multiply(intercept, log(safe)))),
      maximum(add(this.right(tp), this.right(fn)), 0),
    );
  }
}

/** Abscissas and ordinates by threshold. */
const points: Record<AUC['curve'], (counts: Counts) => [Tensor, Tensor]> = {
  ROC: ({ tp, fp, tn, fn }) => [divideNoNan(fp, add(fp, tn)), divideNoNan(tp, add(tp, fn))],
  PR: ({ tp, fp, fn }) => [divideNoNan(tp, add(tp, fn)), divideNoNan(tp, add(tp, fp))],
  PRGAIN: ({ tp, fp, tn, fn }) => {
    const share = divideNoNan(add(tp, fn), add(tn, fp));
    const gain = (wrong: Tensor, without: number): Tensor =>
      where(equal(tp, 0), without, subtract(1, multiply(share, divideNoNan(wrong, tp))));
    return [maximum(gain(fn, 0), 0), gain(fp, 1)];
  },
};

function oneOf<T extends string>(option: string, value: string, known: readonly T[]): T {
  const found = known.find((one) => one.toLowerCase() === value.toLowerCase());
  if (found) return found;
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `AUC: ${option} must be ${known.map((one) => `'${one}'`).join(', ')}, got '${value}'.`,
  );
}

metricFamily.add(AUC);
