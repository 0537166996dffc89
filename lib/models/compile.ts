import { checkDevice, type Device } from '../devices.js';
import { ChainruleError, checkOptions, shown } from '../errors.js';
import { resolveLoss } from '../losses/loss.js';
import { resolveMetric } from '../metrics/index.js';
import { type Optimizer, type OptimizerSpec, resolveOptimizer } from '../optimizers/index.js';
import { CompiledLoss, CompiledMetrics, type LossesSpec, type LossWeights, type MetricsSpec } from './compiled.js';

export interface CompileOptions {
  /** A name, an optimizer or a config. Default 'rmsprop'. */
  optimizer?: OptimizerSpec;
  /** A loss, a list by output or a record by output name; null for outputs without one. */
  loss?: LossesSpec;
  lossWeights?: LossWeights;
  metrics?: MetricsSpec;
  /** Metrics that sample weights count for. */
  weightedMetrics?: MetricsSpec;
  /** Where the model trains and predicts: 'auto' (a GPU if there is one), 'cpu', 'cuda', 'cuda:1'. Default 'auto'. */
  device?: Device;
  /**
   * Bytes that a training step may take beside weights, optimizer state and data. Where it would take more, gradients
   * compute values of the forward pass again instead of keeping them: it takes longer and gives the same numbers.
   */
  memoryBudget?: number;
}

/** What compile fixed. */
export interface Compiled {
  options: CompileOptions;
  optimizer: Optimizer;
  loss: CompiledLoss | undefined;
  metrics: CompiledMetrics;
}

export function compileModel(options: CompileOptions): Compiled {
  checkOptions('compile', options, [
    'optimizer',
    'loss',
    'lossWeights',
    'metrics',
    'weightedMetrics',
    'device',
    'memoryBudget',
  ]);
  if (options.device !== undefined) checkDevice(options.device, 'compile');
  const memoryBudget = bytes(options.memoryBudget);
  for (const list of [options.metrics, options.weightedMetrics]) {
    if (list !== undefined && (typeof list !== 'object' || list === null)) {
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `compile: metrics must be a list like ['accuracy'] or a record by output, got ${shown(list)}.`,
      );
    }
  }
  // Names are resolved once here, so that a misspelt one fails at this line and not at the first step.
  visit(options.loss, (loss) => loss === 'crossentropy' || loss === 'ce' || resolveLoss(loss as never));
  for (const list of [options.metrics, options.weightedMetrics])
    visit(list, (metric) => metric === 'accuracy' || metric === 'acc' || resolveMetric(metric as never));
  return {
    options: memoryBudget === undefined ? options : { ...options, memoryBudget },
    optimizer: resolveOptimizer(options.optimizer ?? 'rmsprop'),
    loss:
      options.loss === undefined || options.loss === null
        ? undefined
        : new CompiledLoss(options.loss, options.lossWeights),
    metrics: new CompiledMetrics(options.metrics, options.weightedMetrics),
  };
}

/** A budget of whole bytes: a share of the memory of a machine may be a fraction. */
function bytes(budget: number | undefined): number | undefined {
  if (budget === undefined) return undefined;
  const whole = typeof budget === 'number' ? Math.floor(budget) : Number.NaN;
  if (Number.isSafeInteger(whole) && whole > 0) return whole;
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `compile: memoryBudget must be a number of bytes, 1 or more, got ${shown(budget)}.`,
  );
}

/** What is no list or record is a name or an object, or wrong. */
function visit(spec: unknown, check: (spec: unknown) => unknown): void {
  if (spec === null || spec === undefined) return;
  if (typeof spec !== 'object') check(spec);
  else if (Array.isArray(spec)) for (const one of spec) visit(one, check);
  else if (Object.getPrototypeOf(spec) === Object.prototype && !('class_name' in spec)) {
    for (const one of Object.values(spec)) visit(one, check);
  }
}
