import { ChainruleError } from '../errors.js';
import { flatten } from '../graph/structure.js';
import { isTensor, type Tensor } from '../graph/tensor.js';
import type { TensorStructure } from '../layers/layer.js';
import { BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy } from '../losses/classes.js';
import { type Loss, type LossSpec, resolveLoss } from '../losses/loss.js';
import {
  BinaryAccuracy,
  CategoricalAccuracy,
  type Metric,
  type MetricSpec,
  resolveMetric,
  SparseCategoricalAccuracy,
} from '../metrics/index.js';
import { freeName } from '../names.js';
import { shapeText } from '../ndarray.js';
import { add, multiply } from '../ops/math.js';

type ShapeLoss = LossSpec | 'crossentropy' | 'ce' | null;
/** One entry for all outputs, a list by order, or a record by output name. */
export type PerOutput<T> = T | readonly T[] | Readonly<Record<string, T>>;
export type LossesSpec = PerOutput<ShapeLoss>;
export type MetricsSpec =
  | readonly (MetricSpec | null | readonly MetricSpec[])[]
  | Readonly<Record<string, MetricSpec | readonly MetricSpec[]>>;
export type LossWeights = number | readonly number[] | Readonly<Record<string, number>>;

/** What 'accuracy' and 'crossentropy' mean depends on the shapes (keras/src/trainers/compile_utils.py). */
function kindOf(yTrue: Tensor, yPred: Tensor): 'binary' | 'sparse' | 'categorical' {
  if (yPred.dims.at(-1) === 1) return 'binary';
  return yTrue.rank < yPred.rank || (yTrue.dims.at(-1) === 1 && yPred.dims.at(-1)! > 1) ? 'sparse' : 'categorical';
}

export function lossFor(spec: ShapeLoss, yTrue: Tensor, yPred: Tensor): Loss | undefined {
  if (spec === null) return undefined;
  if (spec !== 'crossentropy' && spec !== 'ce') return resolveLoss(spec);
  const classes = {
    binary: BinaryCrossentropy,
    sparse: SparseCategoricalCrossentropy,
    categorical: CategoricalCrossentropy,
  };
  return new classes[kindOf(yTrue, yPred)]({ name: spec });
}

function metricFor(spec: MetricSpec, yTrue: Tensor, yPred: Tensor): Metric {
  const name = typeof spec === 'string' ? spec : undefined;
  if (name === 'accuracy' || name === 'acc') {
    const classes = { binary: BinaryAccuracy, sparse: SparseCategoricalAccuracy, categorical: CategoricalAccuracy };
    return new classes[kindOf(yTrue, yPred)]({ name });
  }
  const metric = resolveMetric(spec);
  if (name) metric.name = name;
  return metric;
}

/** The outputs of a model side by side: predictions with their names, and the targets in the same order. */
export interface Outputs {
  names: (string | undefined)[];
  yPred: Tensor[];
  yTrue: (Tensor | undefined)[];
  sampleWeight: (Tensor | undefined)[];
}

/** Matches targets and weights to outputs, by order or by name. */
export function matchOutputs(
  outputNames: readonly string[] | undefined,
  yTrue: TensorStructure | undefined,
  yPred: TensorStructure,
  sampleWeight: TensorStructure | undefined,
): Outputs {
  const preds = flatten(yPred);
  const isRecord = !isTensor(yPred) && !Array.isArray(yPred);
  const names = isRecord ? preds.map((leaf) => leaf.path) : preds.map((_, i) => outputNames?.[i]);
  return {
    names,
    yPred: preds.map((leaf) => leaf.item as Tensor),
    yTrue: spread('targets', yTrue, names),
    sampleWeight: isTensor(sampleWeight)
      ? preds.map(() => sampleWeight)
      : spread('sample weights', sampleWeight, names),
  };
}

function spread<T>(what: string, value: unknown, names: readonly (string | undefined)[]): (T | undefined)[] {
  if (value === undefined) return names.map(() => undefined);
  if (
    typeof value === 'object' &&
    value !== null &&
    !isTensor(value) &&
    !Array.isArray(value) &&
    Object.getPrototypeOf(value) === Object.prototype
  ) {
    const record = value as Record<string, T>;
    const extra = Object.keys(record).filter((key) => !names.includes(key));
    if (extra.length > 0)
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `${what} name "${extra[0]}", but the outputs are ${names.map((name) => `"${name}"`).join(', ')}.`,
      );
    return names.map((name) => record[name ?? '']);
  }
  const list = Array.isArray(value) ? (value as T[]) : [value as T];
  if (list.length === names.length) return list;
  throw new ChainruleError(
    'ERR_CHAINRULE_VALUE',
    `${what} come as ${list.length}, but the model has ${names.length} output${names.length === 1 ? '' : 's'}.`,
  );
}

/** A check that labels are classes of an output; the data is looked through before training. */
export interface LabelCheck {
  target: Tensor;
  classes: number;
  loss: string;
}

/** The losses that compile was given, resolved with the shapes of the first trace. */
export class CompiledLoss {
  private losses: (Loss | undefined)[] | undefined;
  /** Filled while tracing. */
  readonly labelChecks: LabelCheck[] = [];

  constructor(
    private readonly spec: LossesSpec,
    private readonly weights: LossWeights | undefined,
  ) {}

  /** The weighted sum over outputs; `record` receives each output's own loss when there are several. */
  apply(outputs: Outputs, record: (name: string, value: Tensor) => void): Tensor | undefined {
    const losses = (this.losses ??= this.resolve(outputs));
    const weights = this.weightList(outputs);
    let total: Tensor | undefined;
    losses.forEach((loss, i) => {
      const [target, pred] = [outputs.yTrue[i], outputs.yPred[i]!];
      if (!loss) return;
      if (!target)
        throw new ChainruleError(
          'ERR_CHAINRULE_VALUE',
          `output ${label(outputs, i)} has the loss ${loss.name} but no targets; pass y, or loss null for this output.`,
        );
      this.noteLabels(loss, target, pred);
      const value = this.valueOf(loss, target, pred, outputs, i);
      if (losses.filter(Boolean).length > 1) record(`${outputs.names[i] ?? loss.name}_loss`, value);
      const weighted = weights?.[i] === undefined ? value : multiply(value, weights[i]!);
      total = total ? add(total, weighted) : weighted;
    });
    return total;
  }

  private valueOf(loss: Loss, target: Tensor, pred: Tensor, outputs: Outputs, i: number): Tensor {
    const softmax = pred.logits?.of === 'softmax' && pred.dims.at(pred.logits.axis ?? -1) === 1;
    if (softmax || (isCategorical(loss) && pred.dims.at(loss.axis ?? -1) === 1))
      process.emitWarning(
        `output ${label(outputs, i)} has one unit, and ${softmax ? 'a softmax of one unit is always 1' : `${loss.name} needs a unit for each class`}: nothing is learned. For two classes use units: 1 with activation 'sigmoid' and loss 'binaryCrossentropy'.`,
        'ChainruleWarning',
      );
    try {
      return loss.apply(target, pred, outputs.sampleWeight[i]);
    } catch (error) {
      const help = 'Give y a number for each of its units, or the last layer as many units as y has columns.';
      throw misfit(error, loss.name, outputs, i, help);
    }
  }

  private noteLabels(loss: Loss, target: Tensor, pred: Tensor): void {
    const classes = pred.dims.at(-1)!;
    if (loss instanceof SparseCategoricalCrossentropy && loss.ignoreClass === undefined && classes > 0) {
      this.labelChecks.push({ target, classes, loss: loss.name });
    }
  }

  private resolve(outputs: Outputs): (Loss | undefined)[] {
    const { spec } = this;
    const count = outputs.yPred.length;
    const perOutput = Array.isArray(spec) || isPlain(spec);
    const list =
      perOutput && !isSerialized(spec)
        ? spread<ShapeLoss>('losses', spec, outputs.names)
        : outputs.yPred.map(() => spec as ShapeLoss);
    return list
      .slice(0, count)
      .map((one, i) =>
        one === undefined || one === null
          ? undefined
          : lossFor(one, outputs.yTrue[i] ?? outputs.yPred[i]!, outputs.yPred[i]!),
      );
  }

  private weightList(outputs: Outputs): (number | undefined)[] | undefined {
    if (this.weights === undefined) return undefined;
    return typeof this.weights === 'number'
      ? outputs.names.map(() => this.weights as number)
      : spread<number>('lossWeights', this.weights, outputs.names);
  }
}

const label = (outputs: Outputs, i: number): string => (outputs.names[i] ? `"${outputs.names[i]}"` : String(i));

/** Formulas name the op that failed; who wrote the model knows its outputs and targets. */
function misfit(error: unknown, name: string, outputs: Outputs, i: number, help: string): unknown {
  if (!(error instanceof ChainruleError) || error.code !== 'ERR_CHAINRULE_SHAPE') return error;
  if (!/^(add|sub|mul|div|where|max|min)\w*:/.test(error.message)) return error;
  const [target, pred] = [shapeText(outputs.yTrue[i]!.shape), shapeText(outputs.yPred[i]!.shape)];
  return new ChainruleError(
    'ERR_CHAINRULE_SHAPE',
    `${name}: targets of shape ${target} don't fit output ${label(outputs, i)} of shape ${pred}. ${help}`,
    { cause: error, details: error.details },
  );
}

const isCategorical = (loss: Loss): loss is Loss & { readonly axis?: number } =>
  loss instanceof CategoricalCrossentropy || loss instanceof SparseCategoricalCrossentropy;

const isPlain = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
const isSerialized = (value: unknown): boolean =>
  isPlain(value) && typeof (value as { class_name?: unknown }).class_name === 'string';

interface NamedMetric {
  name: string;
  metric: Metric;
  output: number;
  weighted: boolean;
}

/** The metrics that compile was given; weightedMetrics are the ones that sample weights count for. */
export class CompiledMetrics {
  private resolved: NamedMetric[] | undefined;

  constructor(
    private readonly plain: MetricsSpec | undefined,
    private readonly weighted: MetricsSpec | undefined,
  ) {}

  update(outputs: Outputs): void {
    this.resolved ??= this.resolve(outputs);
    for (const { name, metric, output, weighted } of this.resolved) {
      const [target, pred] = [outputs.yTrue[output], outputs.yPred[output]!];
      if (!target) continue;
      try {
        metric.updateState(target, pred, weighted ? outputs.sampleWeight[output] : undefined);
      } catch (error) {
        const byClass = kindOf(target, pred) === 'sparse' && 'classId' in metric;
        const help = byClass
          ? "It counts positives: for two classes use one unit with activation 'sigmoid'; or give y as one-hot rows instead of class numbers (toCategorical), and the metric a classId."
          : 'Give y a number for each of its units.';
        throw misfit(error, name, outputs, output, help);
      }
    }
  }

  /** Whether compile was given any. */
  get given(): boolean {
    return [this.plain, this.weighted].some((spec) => spec !== undefined && Object.values(spec).flat().some(Boolean));
  }

  get named(): readonly NamedMetric[] {
    return this.resolved ?? [];
  }

  private resolve(outputs: Outputs): NamedMetric[] {
    const found: NamedMetric[] = [];
    const taken = new Map<string, true>([['loss', true]]);
    for (const [spec, weighted] of [
      [this.plain, false],
      [this.weighted, true],
    ] as const) {
      this.perOutput(spec, outputs).forEach((list, output) => {
        for (const one of list) {
          const metric = metricFor(one, outputs.yTrue[output] ?? outputs.yPred[output]!, outputs.yPred[output]!);
          const prefix = outputs.yPred.length > 1 && outputs.names[output] ? `${outputs.names[output]}_` : '';
          const plainName = `${prefix}${metric.name}`;
          const name = taken.has(plainName)
            ? freeName(weighted ? `${prefix}weighted_${metric.name}` : plainName, taken)
            : plainName;
          taken.set(name, true);
          found.push({ name, metric, output, weighted });
        }
      });
    }
    return found;
  }

  private perOutput(spec: MetricsSpec | undefined, outputs: Outputs): MetricSpec[][] {
    if (spec === undefined) return outputs.yPred.map(() => []);
    const asList = (one: unknown): MetricSpec[] =>
      one === undefined || one === null ? [] : Array.isArray(one) ? one.flatMap(asList) : [one as MetricSpec];
    if (outputs.yPred.length === 1) return [asList(Array.isArray(spec) ? spec : Object.values(spec))];
    return spread<unknown>('metrics', spec, outputs.names).map(asList);
  }
}
