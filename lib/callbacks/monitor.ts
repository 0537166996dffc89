import { ChainruleError } from '../errors.js';
import type { Logs } from '../models/programs.js';
import { oneOf, text } from '../rules.js';
import { Callback } from './callback.js';

export type Mode = 'auto' | 'min' | 'max';

export interface MonitorOptions {
  /** Name in the logs. Default 'val_loss'. */
  monitor?: string;
  /** What is better; 'auto' goes by the metric. */
  mode?: Mode;
  /** Smaller changes are no improvement. Default 0. */
  minDelta?: number;
}

export const monitorRules = { monitor: text, mode: oneOf('auto', 'min', 'max') };

/** Callbacks that watch a number for improvement (keras/src/callbacks/monitor_callback.py). */
export abstract class MonitorCallback extends Callback {
  readonly monitor: string;
  readonly mode: Mode;
  readonly minDelta: number;
  best: number | undefined;

  constructor(options: MonitorOptions) {
    super();
    this.monitor = options.monitor ?? 'val_loss';
    this.mode = options.mode ?? 'auto';
    this.minDelta = Math.abs(options.minDelta ?? 0);
  }

  /** The watched number; a missing one is a warning and undefined. */
  protected current(logs: Logs): number | undefined {
    const value = logs[this.monitor];
    if (typeof value === 'number') return value;
    process.emitWarning(
      `${this.constructor.name} watches "${this.monitor}", which is not available; there are ${Object.keys(logs).join(', ')}.`,
      'ChainruleWarning',
    );
    return undefined;
  }

  /** Strictly better than the reference by more than minDelta. NaN never is, and anything is better than NaN. */
  protected improves(value: number, reference: number | undefined): boolean {
    if (Number.isNaN(value)) return false;
    if (reference === undefined || Number.isNaN(reference)) return true;
    return this.direction() === 'up' ? value - this.minDelta > reference : value + this.minDelta < reference;
  }

  private direction(): 'up' | 'down' {
    if (this.mode !== 'auto') return this.mode === 'max' ? 'up' : 'down';
    const name = this.monitor.replace(/^val_/, '');
    const direction = this.model.metricDirection(name);
    if (direction) return direction;
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `${this.constructor.name}: whether "${this.monitor}" should rise or fall is not known; pass mode: 'max' or mode: 'min'.`,
    );
  }
}
