import { ChainruleError, shown } from '../errors.js';
import type { Logs } from '../models/programs.js';
import { atLeast, below, checkRules, integer, number, orInfinite, verbosity } from '../rules.js';
import { Callback, type CallbackState } from './callback.js';
import { MonitorCallback, type MonitorOptions, monitorRules } from './monitor.js';

export type ScheduleFunction = (epoch: number, learningRate: number) => number | Promise<number>;

/** Sets the learning rate before each epoch (https://keras.io/api/callbacks/learning_rate_scheduler/). */
export class LearningRateScheduler extends Callback {
  constructor(
    readonly schedule: ScheduleFunction,
    readonly options: { verbose?: 0 | 1 } = {},
  ) {
    super();
    if (typeof schedule !== 'function')
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `LearningRateScheduler: a function (epoch, learningRate) → number is expected, got ${shown(schedule)}. Write callbacks.learningRateScheduler((epoch, rate) => rate * 0.9).`,
      );
    checkRules('LearningRateScheduler', options, { verbose: verbosity });
  }

  async onEpochBegin(epoch: number): Promise<void> {
    const rate = await this.schedule(epoch, currentRate(this.model.optimizer.learningRate, 'LearningRateScheduler'));
    if (typeof rate !== 'number' || !(rate >= 0)) {
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `LearningRateScheduler: the schedule must return a number >= 0, got ${String(rate)} in epoch ${epoch}.`,
      );
    }
    this.model.optimizer.learningRate = rate;
    if (this.options.verbose)
      process.stderr.write(`Epoch ${epoch + 1}: LearningRateScheduler setting learning rate to ${rate}.\n`);
  }

  onEpochEnd(_epoch: number, logs: Logs): void {
    logs.learning_rate = currentRate(this.model.optimizer.learningRate, 'LearningRateScheduler');
  }
}

export interface ReduceLROnPlateauOptions extends MonitorOptions {
  /** New rate = rate · factor. Default 0.1. */
  factor?: number;
  /** Epochs without improvement to wait for. Default 10. */
  patience?: number;
  verbose?: 0 | 1;
  /** Epochs to rest after a change. Default 0. */
  cooldown?: number;
  /** Default 0. */
  minLr?: number;
}

const plateauRules = {
  ...monitorRules,
  minDelta: number,
  factor: below(0, 1),
  patience: orInfinite(integer(0)),
  verbose: verbosity,
  cooldown: integer(0),
  minLr: atLeast(0),
};

/** Lowers the learning rate when the watched number stops improving (https://keras.io/api/callbacks/reduce_lr_on_plateau/). */
export class ReduceLROnPlateau extends MonitorCallback {
  readonly factor: number;
  readonly patience: number;
  readonly verbose: number;
  readonly cooldown: number;
  readonly minLr: number;
  private wait = 0;
  private resting = 0;

  constructor(options: ReduceLROnPlateauOptions = {}) {
    checkRules('ReduceLROnPlateau', options, plateauRules);
    super({ ...options, minDelta: options.minDelta ?? 1e-4 });
    this.factor = options.factor ?? 0.1;
    this.patience = options.patience ?? 10;
    this.verbose = options.verbose ?? 0;
    this.cooldown = options.cooldown ?? 0;
    this.minLr = options.minLr ?? 0;
  }

  onTrainBegin(): void {
    this.wait = 0;
    this.resting = 0;
    this.best = undefined;
  }

  getState(): CallbackState {
    return { wait: this.wait, resting: this.resting, best: this.best ?? null };
  }

  setState(state: CallbackState): void {
    const { wait, resting, best } = state as Record<string, number | null>;
    Object.assign(this, { wait, resting, best: best ?? undefined });
  }

  onEpochEnd(epoch: number, logs: Logs): void {
    // The logged rate is the one before a change at this epoch's end.
    const rate = currentRate(this.model.optimizer.learningRate, 'ReduceLROnPlateau');
    logs.learning_rate = rate;
    const current = this.current(logs);
    if (current === undefined) return;
    if (this.resting > 0) {
      this.resting--;
      this.wait = 0;
    }
    if (this.improves(current, this.best)) {
      this.best = current;
      this.wait = 0;
    } else if (this.resting === 0 && ++this.wait >= this.patience && rate > Math.fround(this.minLr)) {
      const reduced = Math.max(rate * this.factor, this.minLr);
      this.model.optimizer.learningRate = reduced;
      if (this.verbose)
        process.stderr.write(`Epoch ${epoch + 1}: ReduceLROnPlateau reducing learning rate to ${reduced}.\n`);
      this.resting = this.cooldown;
      this.wait = 0;
    }
  }
}

function currentRate(rate: unknown, who: string): number {
  if (typeof rate === 'number') return rate;
  throw new ChainruleError(
    'ERR_CHAINRULE_STATE',
    `${who}: the optimizer's learning rate is a schedule already; make the optimizer with a number.`,
  );
}
