import type { Logs } from '../models/programs.js';
import type { NDArray } from '../ndarray.js';
import { checkRules, flag, integer, number, orInfinite, verbosity } from '../rules.js';
import type { CallbackState } from './callback.js';
import { MonitorCallback, type MonitorOptions, monitorRules } from './monitor.js';

export interface EarlyStoppingOptions extends MonitorOptions {
  /** Epochs without improvement to wait for. Default 0. */
  patience?: number;
  verbose?: 0 | 1;
  /** Only what beats it counts as improvement. */
  baseline?: number;
  /** Go back to the best epoch's weights at the end (default false). */
  restoreBestWeights?: boolean;
  /** Epochs that are let pass first. Default 0. */
  startFromEpoch?: number;
}

const optionRules = {
  ...monitorRules,
  minDelta: number,
  patience: orInfinite(integer(0)),
  verbose: verbosity,
  baseline: orInfinite(number),
  restoreBestWeights: flag,
  startFromEpoch: integer(0),
};

/** Ends fit when the watched number stops improving (https://keras.io/api/callbacks/early_stopping/). */
export class EarlyStopping extends MonitorCallback {
  readonly patience: number;
  readonly verbose: number;
  readonly baseline: number | undefined;
  readonly restoreBestWeights: boolean;
  readonly startFromEpoch: number;
  stoppedEpoch = 0;
  bestEpoch = 0;
  private wait = 0;
  private bestWeights: NDArray[] | undefined;

  constructor(options: EarlyStoppingOptions = {}) {
    checkRules('EarlyStopping', options, optionRules);
    super(options);
    this.patience = options.patience ?? 0;
    this.verbose = options.verbose ?? 0;
    this.baseline = options.baseline;
    this.restoreBestWeights = options.restoreBestWeights ?? false;
    this.startFromEpoch = options.startFromEpoch ?? 0;
  }

  onTrainBegin(): void {
    this.wait = 0;
    this.stoppedEpoch = 0;
    this.bestEpoch = 0;
    this.best = undefined;
    this.bestWeights = undefined;
  }

  getState(): CallbackState {
    const { wait, stoppedEpoch, bestEpoch, best = null, bestWeights = null } = this;
    return { wait, stoppedEpoch, bestEpoch, best, bestWeights };
  }

  setState(state: CallbackState): void {
    const { wait, stoppedEpoch, bestEpoch, best, bestWeights } = state as Record<string, never>;
    Object.assign(this, {
      wait,
      stoppedEpoch,
      bestEpoch,
      best: best ?? undefined,
      bestWeights: bestWeights ?? undefined,
    });
  }

  async onEpochEnd(epoch: number, logs: Logs): Promise<void> {
    const current = this.current(logs);
    if (current === undefined || epoch < this.startFromEpoch) return;
    if (this.restoreBestWeights && !this.bestWeights) await this.remember(epoch);
    this.wait++;
    if (this.improves(current, this.best)) {
      this.best = current;
      this.bestEpoch = epoch;
      if (this.restoreBestWeights) await this.remember(epoch);
      if (this.baseline === undefined || this.improves(current, this.baseline)) this.wait = 0;
    } else if (this.wait >= this.patience && epoch > 0) {
      this.stoppedEpoch = epoch;
      this.model.stopTraining = true;
    }
  }

  async onTrainEnd(): Promise<void> {
    if (this.verbose > 0 && this.stoppedEpoch > 0)
      process.stderr.write(`Epoch ${this.stoppedEpoch + 1}: early stopping\n`);
    if (!this.bestWeights) return;
    if (this.verbose > 0)
      process.stderr.write(`Restoring model weights from the end of the best epoch: ${this.bestEpoch + 1}.\n`);
    await this.model.setWeights(this.bestWeights);
  }

  private async remember(epoch: number): Promise<void> {
    this.bestWeights = await this.model.getWeights();
    this.bestEpoch = epoch;
  }
}
