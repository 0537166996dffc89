import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RangeCheck } from '../data/checks.js';
import type { Table } from '../data/columns.js';
import { ChainruleError, shown } from '../errors.js';
import { Executable } from '../graph/executable.js';
import { StateBundle } from '../graph/state.js';
import { flatten } from '../graph/structure.js';
import { isTensor, Tensor } from '../graph/tensor.js';
import { Trace } from '../graph/trace.js';
import type { TensorStructure } from '../layers/layer.js';
import type { Metric } from '../metrics/metric.js';
import { type ClassWeight, gatherWeights } from './class_weight.js';
import { checkHidden } from './hidden_layers.js';
import type { Model } from './model.js';
import { type Batch, rowCount, StepContext } from './step.js';

/**
 * Losses and metrics by name; a metric of several numbers gives `name[0]`, `name[1]`, … The loss is there unless a
 * trainStep or testStep of your own logs none, or a model that is compiled with metrics alone is evaluated.
 */
export interface Logs {
  loss: number;
  [name: string]: number;
}

/** A training or test step for one signature, with the programs that read and reset its metrics. */
export interface StepProgram {
  step: Executable;
  /** Ranges that labels and ids must be in. */
  checks: RangeCheck[];
  /** Names and values of all logs of the steps since the last reset. */
  logs(): Promise<Logs>;
  reset(): Promise<void>;
}

/** Describes one step on batches like `table` and compiles it. */
export async function buildStep(
  model: Model,
  kind: 'train' | 'test',
  table: Table,
  state: StateBundle,
  classWeight?: ClassWeight,
): Promise<StepProgram> {
  // Weights must exist before the step asks which of them to train.
  if (!model.built && model.describesCall) describePredict(model, table);
  // Describing takes milliseconds while V8 is cold: others get their turn in between.
  await nextTurn();
  const trace = new Trace(model.device);
  trace.keeper = model;
  trace.state = state;
  const budget = model.compiled?.options.memoryBudget;
  if (kind === 'train' && budget) trace.graph.setMemoryBudget(budget);
  const { logged, checks } = trace.run(() => {
    const inputs = inputsOf(trace, table, model);
    const batch = table.fill(inputs) as Batch;
    if (classWeight) batch.sampleWeight = gatherWeights(classWeight, batch.y);
    model.compiledLoss?.labelChecks.splice(0);
    const context = new StepContext(model.trackers, rowCount(inputs[0]!), {
      optimizer: model.compiled?.optimizer,
      variables: () => model.trainableWeights,
    });
    const result = kind === 'train' ? model.trainStep(batch, context) : model.testStep(batch, context);
    checkLogs(model, `${kind}Step`, result);
    if (kind === 'train') checkHidden(model, trace);
    for (const [name, value] of Object.entries(result)) if (value instanceof Tensor) context.track(name, value);
    const metrics = new Map<string, Metric>(context.tracked);
    for (const { name, metric } of model.compiledMetrics?.named ?? []) metrics.set(name, metric);
    // Sorted, as Keras logs them.
    const names = [...metrics.keys()].sort();
    const labels =
      model.compiledLoss?.labelChecks.map(({ target, classes }) => ({ ids: target, limit: classes })) ?? [];
    return {
      logged: names.map((name) => ({ name, metric: metrics.get(name)! })),
      checks: [...labels, ...trace.tableReads]
        .map(({ ids, ...check }) => ({ column: inputs.indexOf(ids), ...check }))
        .filter(({ column }) => column >= 0),
    };
  });
  await nextTurn();
  const results = new Trace(model.device);
  results.state = state;
  const values = results.run(() => logged.map(({ metric }) => metric.result()));
  const resets = new Trace(model.device);
  resets.state = state;
  resets.run(() => {
    for (const metric of new Set(logged.map((one) => one.metric))) metric.resetState();
  });
  const [step, result, reset] = await Promise.all([
    Executable.compile(trace, []),
    Executable.compile(results, values),
    Executable.compile(resets, []),
  ]);
  return {
    step,
    checks,
    async logs() {
      const arrays = await result.run([]);
      return Object.fromEntries(
        logged.flatMap(({ name }, i) => {
          const { data, rank } = arrays[i]!;
          return rank === 0 ? [[name, data[0]!]] : Array.from(data, (value, k) => [`${name}[${k}]`, value]);
        }),
      ) as Logs;
    },
    async reset() {
      await reset.run([]);
    },
  };
}

/** What a step of the user's own gives: in JavaScript, no compiler looks at it. */
function checkLogs(model: Model, step: string, result: unknown): void {
  if (typeof result === 'object' && result !== null && Object.getPrototypeOf(result) === Object.prototype) return;
  // A step that is not awaited may fail later, where nobody listens.
  if (result instanceof Promise) result.catch(() => {});
  throw new ChainruleError(
    'ERR_CHAINRULE_VALUE',
    `model "${model.name}" (${model.className}): ${step} must return a record of tensors, like { loss }, got ${shown(result)}.${result instanceof Promise ? ' It describes the step once, so it cannot be async.' : ''}`,
  );
}

/** A forward pass for one signature. */
export interface PredictProgram {
  executable: Executable;
  /** The structure of the outputs. */
  result: unknown;
  outputs: readonly Tensor[];
}

export function describePredict(
  model: Model,
  table: Table,
  call: (x: TensorStructure) => unknown = (x) => model.predictStep(x),
): { trace: Trace; result: unknown; outputs: Tensor[] } {
  const trace = new Trace(model.device);
  trace.keeper = model;
  trace.state = new StateBundle();
  const result = trace.run(() => {
    const inputs = inputsOf(trace, table, model);
    return call(table.fill(inputs).x as TensorStructure);
  });
  const outputs = flatten(result).map((leaf) => leaf.item);
  if (!outputs.every(isTensor))
    throw new ChainruleError('ERR_CHAINRULE_VALUE', `model "${model.name}": call must return tensors.`);
  return { trace, result, outputs: outputs as Tensor[] };
}

export async function buildPredict(
  model: Model,
  table: Table,
  call?: (x: TensorStructure) => unknown,
): Promise<PredictProgram> {
  const { trace, result, outputs } = describePredict(model, table, call);
  return { executable: await Executable.compile(trace, outputs), result, outputs };
}

function inputsOf(trace: Trace, table: Table, model: Model): Tensor[] {
  const batch = model.fixedBatch ?? -1;
  return table.columns.map(({ name, array }) => trace.input(name, array.dtype, [batch, ...array.shape.slice(1)]));
}

/** Programs that a cache keeps: sequences come in so many lengths. */
const kept = 256;

/** Compiled programs by key, the last ones used; a description that failed may be tried again. */
export class ProgramCache<P> {
  private readonly programs = new Map<string, Promise<P>>();

  get(key: string, build: () => Promise<P>): Promise<P> {
    let program = this.programs.get(key);
    if (program) this.programs.delete(key);
    else {
      // A synchronous failure while tracing must reject, not throw.
      program = Promise.resolve().then(build);
      program.catch(() => this.programs.delete(key));
    }
    // A Map keeps the order of insertion: the one used longest ago stands first.
    this.programs.set(key, program);
    if (this.programs.size > kept) this.programs.delete(this.programs.keys().next().value!);
    return program;
  }

  clear(): void {
    this.programs.clear();
  }
}
