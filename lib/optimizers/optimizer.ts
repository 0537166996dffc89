import { Configured, Family, type OptionTable } from '../config.js';
import { ChainruleError } from '../errors.js';
import type { Tensor } from '../graph/tensor.js';
import { Variable } from '../graph/variable.js';
import { snakeClass, uniqueName } from '../names.js';
import { add, divide, equal, floor, mod, multiply, where } from '../ops/math.js';
import { float } from '../ops/operands.js';
import * as rules from '../rules.js';
import { type LearningRateSchedule, scheduleFamily } from '../schedules/index.js';
import { clip } from './clipping.js';
import { connected } from './connected.js';
import { Flat } from './flat.js';
import { checkedRate, type OptimizerOptions } from './options.js';

/** What an update formula works on; tensors are flat ranges over many variables. */
export interface Update {
  parameter: Tensor;
  gradient: Tensor;
  slots: Record<string, Tensor>;
  learningRate: Tensor;
  /** Counts from 1, float32. */
  step: Tensor;
}

/** A rule that changes weights by gradients. Its formula is traced once over all weights (https://keras.io/api/optimizers/). */
export abstract class Optimizer extends Configured {
  static override readonly options: OptionTable = {
    name: rules.text,
    learningRate: 'schedule',
    weightDecay: rules.atLeast(0),
    clipnorm: rules.above(0),
    globalClipnorm: rules.above(0),
    clipvalue: rules.above(0),
    useEma: rules.flag,
    emaMomentum: rules.between(0, 1),
    emaOverwriteFrequency: rules.integer(1),
    lossScaleFactor: rules.above(0),
    gradientAccumulationSteps: rules.integer(1),
  };
  readonly name: string;
  readonly weightDecay: number | undefined;
  readonly clipnorm: number | undefined;
  readonly globalClipnorm: number | undefined;
  readonly clipvalue: number | undefined;
  readonly useEma: boolean;
  readonly emaMomentum: number;
  readonly emaOverwriteFrequency: number | undefined;
  readonly lossScaleFactor: number | undefined;
  readonly gradientAccumulationSteps: number | undefined;
  /** Steps so far, accumulation steps included. */
  readonly iteration: Variable;
  #rate: number | LearningRateSchedule;
  readonly #rateVariable: Variable | undefined;
  readonly #slots = new Map<Variable, Record<string, Variable>>();
  readonly #undecayed = new Set<Variable>();
  readonly #undecayedNames: string[] = [];

  constructor(options: OptimizerOptions, defaultRate: number) {
    super(options);
    this.name = options.name ?? uniqueName(snakeClass(this.className));
    this.weightDecay = options.weightDecay ?? undefined;
    this.clipnorm = options.clipnorm ?? undefined;
    this.globalClipnorm = options.globalClipnorm ?? undefined;
    this.clipvalue = options.clipvalue ?? undefined;
    this.useEma = options.useEma ?? false;
    this.emaMomentum = options.emaMomentum ?? 0.99;
    this.emaOverwriteFrequency = options.emaOverwriteFrequency ?? undefined;
    this.lossScaleFactor = options.lossScaleFactor ?? undefined;
    this.gradientAccumulationSteps = options.gradientAccumulationSteps ?? undefined;
    if ([this.clipnorm, this.globalClipnorm, this.clipvalue].filter((value) => value !== undefined).length > 1) {
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `${this.className}: only one of clipnorm, clipvalue and globalClipnorm may be set.`,
      );
    }
    const rate = options.learningRate ?? defaultRate;
    this.#rate = typeof rate === 'object' ? scheduleFamily.resolve(rate) : checkedRate(this.className, rate);
    if (typeof this.#rate === 'number') this.#rateVariable = this.#variable('learning_rate', [], this.#rate);
    this.iteration = new Variable('iteration', [], { dtype: 'int32', trainable: false });
    this.iteration.path = `${this.name}/iteration`;
  }

  /** The update formula, elementwise: new parameter and slots. */
  protected abstract update(at: Update): { parameter: Tensor; slots?: Record<string, Tensor> };

  /** Slots kept for each weight, with their first value. */
  protected slots(): Record<string, number> {
    return {};
  }

  /** Slots that a file keeps side by side, weight by weight; each list goes over all weights before the next. */
  protected slotOrder(): string[][] {
    return [Object.keys(this.slots())];
  }

  /** What is computed once per step rather than per weight. */
  protected beginStep(_step: Tensor): void {}

  /** Scalar variables beside iteration and learning rate. */
  protected get extraVariables(): Variable[] {
    return [];
  }

  /** The learning rate, or the schedule. Setting a number is legal during fit: it takes effect at the next step. */
  get learningRate(): number | LearningRateSchedule {
    return this.#rate;
  }

  set learningRate(value: number) {
    if (!this.#rateVariable) {
      throw new ChainruleError(
        'ERR_CHAINRULE_STATE',
        `${this.className}: the learning rate is a schedule (${(this.#rate as LearningRateSchedule).className}) and cannot be set; make the optimizer with a number.`,
      );
    }
    this.#rate = Math.fround(checkedRate(this.className, value));
    // An optimizer that is stepping takes the new rate between two steps; errors of the write show at the next run.
    this.#rateVariable.native.write(Float32Array.of(this.#rate)).catch(() => {});
  }

  /** iteration, learning rate, averages, accumulators, then the slots: the order of a saved file. */
  get variables(): Variable[] {
    const slots = [...this.#slots.values()];
    const order = [['average'], ['gradient_accumulator'], ...this.slotOrder()];
    const found = order.flatMap((names) => slots.flatMap((entry) => names.flatMap((name) => entry[name] ?? [])));
    // Keras makes them with the slots: an optimizer that never stepped has none.
    const extra = slots.length > 0 ? this.extraVariables : [];
    return [this.iteration, ...(this.#rateVariable ? [this.#rateVariable] : []), ...found, ...extra];
  }

  /** Makes the slots of these weights; apply does it by itself. */
  build(variables: readonly Variable[]): void {
    const slots: Record<string, number> = {
      ...(this.useEma && { average: 0 }),
      ...((this.gradientAccumulationSteps ?? 1) > 1 && { gradient_accumulator: 0 }),
      ...this.slots(),
    };
    for (const variable of variables) {
      if (this.#slots.has(variable)) continue;
      const stem = variable.path.replaceAll('/', '_');
      this.#slots.set(
        variable,
        Object.fromEntries(
          Object.entries(slots).map(([name, fill]) => [name, this.#variable(`${stem}_${name}`, variable.shape, fill)]),
        ),
      );
    }
  }

  /** Lets the slots of weights go that it will not change any more. */
  forget(variables: readonly Variable[]): void {
    for (const variable of variables) this.#slots.delete(variable);
  }

  /** Leaves weights out of the decay: by themselves, or where a pattern occurs in their name. Call it before training. */
  excludeFromWeightDecay({
    variables = [],
    names = [],
  }: {
    variables?: readonly Variable[];
    names?: readonly string[];
  }): void {
    if (this.#slots.size > 0)
      throw new ChainruleError(
        'ERR_CHAINRULE_STATE',
        'excludeFromWeightDecay: call it before the first training step.',
      );
    for (const variable of variables) this.#undecayed.add(variable);
    this.#undecayedNames.push(...names);
  }

  /** While tracing: one step on these weights (https://github.com/keras-team/keras/blob/master/keras/src/optimizers/base_optimizer.py). */
  apply(grads: readonly (Tensor | null)[], variables: readonly Variable[]): void {
    const pairs = connected(grads, variables);
    const weights = pairs.map(({ variable }) => variable);
    this.build(weights);
    const raw = this.iteration.read();
    const every = this.gradientAccumulationSteps ?? 1;
    const rate = this.#rateVariable ? this.#rateVariable.read() : (this.#rate as LearningRateSchedule).call(float(raw));
    const count = every > 1 ? floor(divide(raw, every)) : float(raw);
    let gradients = pairs.map(({ gradient }) =>
      this.lossScaleFactor ? divide(gradient, this.lossScaleFactor) : gradient,
    );
    const due = every > 1 ? equal(mod(add(raw, 1), every), 0) : undefined;
    if (due) gradients = this.#accumulate(weights, gradients, due, every);
    gradients = clip(gradients, this);
    const step = add(count, 1);
    this.beginStep(step);
    for (const group of this.#groups(weights)) {
      this.#step(
        group,
        gradients.filter((_, i) => group.includes(weights[i]!)),
        rate,
        step,
        due,
      );
    }
    for (const variable of weights)
      if (variable.constraint) variable.assign(variable.constraint.apply(variable.read()));
    this.iteration.assign(add(raw, 1));
  }

  /** While tracing: replaces weights by their moving averages, at the end of a fit with useEma. */
  finalize(variables: readonly Variable[]): void {
    const averaged = variables.filter((variable) => this.#slots.get(variable)?.average);
    if (averaged.length > 0)
      new Flat(averaged).write(new Flat(averaged.map((variable) => this.#slots.get(variable)!.average!)).read());
  }

  #step(
    group: readonly Variable[],
    gradients: readonly Tensor[],
    rate: Tensor,
    step: Tensor,
    due: Tensor | undefined,
  ): void {
    const names = Object.keys(this.slots());
    const flat = new Flat(group);
    const stored = Object.fromEntries(
      [...names, ...(this.useEma ? ['average'] : [])].map((name) => [
        name,
        new Flat(group.map((variable) => this.#slots.get(variable)![name]!)),
      ]),
    );
    const before = flat.read();
    const old = Object.fromEntries(names.map((name) => [name, stored[name]!.read()]));
    const decayed =
      this.weightDecay && this.#decays(group[0]!)
        ? before.sub(multiply(before, multiply(rate, this.weightDecay)))
        : before;
    const { parameter, slots = {} } = this.update({
      parameter: decayed,
      gradient: flat.pack(gradients),
      slots: old,
      learningRate: rate,
      step,
    });
    let after = due ? where(due, parameter, before) : parameter;
    for (const [name, value] of Object.entries(slots)) stored[name]!.write(due ? where(due, value, old[name]!) : value);
    if (this.useEma) after = this.#average(stored.average!, after, step);
    flat.write(after);
  }

  #average(average: Flat, weights: Tensor, step: Tensor): Tensor {
    const momentum = where(equal(step, 1), 0, this.emaMomentum);
    const next = add(multiply(average.read(), momentum), multiply(weights, float(1).sub(momentum)));
    average.write(next);
    if (!this.emaOverwriteFrequency) return weights;
    return where(equal(mod(step, this.emaOverwriteFrequency), 0), next, weights);
  }

  #accumulate(weights: readonly Variable[], gradients: readonly Tensor[], due: Tensor, every: number): Tensor[] {
    return weights.map((variable, i) => {
      const accumulator = this.#slots.get(variable)!.gradient_accumulator!;
      const total = add(accumulator.read(), gradients[i]!);
      accumulator.assign(where(due, 0, total));
      return divide(total, every);
    });
  }

  /** Weights that one flat formula may treat alike. */
  #groups(weights: readonly Variable[]): Variable[][] {
    if (!this.weightDecay) return [[...weights]];
    return [
      weights.filter((variable) => this.#decays(variable)),
      weights.filter((variable) => !this.#decays(variable)),
    ].filter((group) => group.length > 0);
  }

  #decays(variable: Variable): boolean {
    return (
      !this.#undecayed.has(variable) && !this.#undecayedNames.some((pattern) => new RegExp(pattern).test(variable.name))
    );
  }

  #variable(name: string, shape: readonly number[], fill: number): Variable {
    const variable = new Variable(name, shape, { initialValue: fill, trainable: false });
    variable.path = `${this.name}/${name}`;
    return variable;
  }
}

export const optimizerFamily = new Family<Optimizer>('optimizer', 'keras.optimizers');
