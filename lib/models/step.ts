import { ChainruleError, shown } from '../errors.js';
import { valueAndGrad } from '../graph/grad.js';
import type { StateBundle } from '../graph/state.js';
import type { Tensor } from '../graph/tensor.js';
import { currentTrace } from '../graph/trace.js';
import { Variable } from '../graph/variable.js';
import type { TensorStructure } from '../layers/layer.js';
import { batchOf } from '../layers/layer.js';
import { Mean } from '../metrics/reduction.js';
import { multiply } from '../ops/math.js';
import { float } from '../ops/operands.js';
import { Optimizer } from '../optimizers/optimizer.js';

/** A batch as trainStep sees it. */
export interface Batch {
  x: TensorStructure;
  y?: TensorStructure;
  sampleWeight?: TensorStructure;
}

/** Running means of a model's logs by name; their state belongs to the program that is traced. */
export class Trackers {
  private readonly means = new Map<string, Mean>();

  get(name: string): Mean {
    let mean = this.means.get(name);
    if (!mean) this.means.set(name, (mean = new Mean({ name })));
    return mean;
  }
}

/** What trainStep and testStep work with: optimizer steps and running logs. */
export class StepContext {
  /** Names that this step logs, in their order. */
  readonly tracked = new Map<string, Mean>();
  readonly state: StateBundle = currentTrace('StepContext').state;

  constructor(
    private readonly trackers: Trackers,
    private readonly rows: Tensor,
    private readonly defaults: { optimizer: Optimizer | undefined; variables: () => readonly Variable[] },
  ) {}

  /** Logs the mean of a scalar over the epoch, weighted by the rows of each batch. Returns the value. */
  track(name: string, value: Tensor): Tensor {
    if (this.tracked.has(name)) return value;
    const mean = this.trackers.get(name);
    this.tracked.set(name, mean);
    mean.updateState(value, this.rows);
    return value;
  }

  /** One optimizer step on the loss that `lossFn` describes. Returns the loss. */
  minimize(lossFn: () => Tensor, optimizer = this.defaults.optimizer!, given?: readonly Variable[]): Tensor {
    checkMinimize(lossFn, optimizer, given);
    const variables = given ?? this.defaults.variables();
    if (variables.length === 0) {
      if (!given) {
        process.emitWarning('the model has no trainable weights; fit only measures it.', 'ChainruleWarning');
        return lossFn();
      }
      throw new ChainruleError(
        'ERR_CHAINRULE_NOT_BUILT',
        'minimize: there are no variables to train. Layers have weights once they are built: give inputShape, or call their build before.',
      );
    }
    const scale = optimizer.lossScaleFactor;
    const { aux, grads } = valueAndGrad(() => {
      const loss = lossFn();
      return [scale ? multiply(loss, scale) : loss, loss] as const;
    }, variables);
    optimizer.apply(grads, variables);
    return aux;
  }
}

/** In JavaScript, no compiler looks at what minimize is given. */
function checkMinimize(lossFn: unknown, optimizer: unknown, variables: unknown): void {
  const wrong = (what: string, got: unknown): ChainruleError =>
    new ChainruleError('ERR_CHAINRULE_OPTION', `minimize: ${what}, got ${shown(got)}.`);
  if (typeof lossFn !== 'function') throw wrong('the loss must be a function () => loss', lossFn);
  // A name would make another optimizer, with state of its own, for each program.
  if (!(optimizer instanceof Optimizer))
    throw wrong('an optimizer is expected that the model keeps, this.adam = optimizers.adam()', optimizer);
  if (variables === undefined) return;
  if (!Array.isArray(variables)) throw wrong('a list of variables is expected, layer.trainableWeights', variables);
  const other = variables.find((one) => !(one instanceof Variable));
  if (other !== undefined) throw wrong('the list must hold variables, layer.trainableWeights', other);
}

/** The number of rows of a batch, as a float scalar. */
export function rowCount(x: Tensor): Tensor {
  return float(batchOf(x));
}
