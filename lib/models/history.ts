import type { FitParams } from '../callbacks/callback.js';
import type { Logs } from './programs.js';

/** What fit resolves with: losses and metrics by epoch. */
export class History {
  /** `loss`, metric names, `val_…`: a value per epoch. A trainStep of your own may log no loss. */
  readonly history = {} as { loss: number[]; [name: string]: number[] };
  /** The epochs that ran, from 0. */
  readonly epoch: number[] = [];

  constructor(readonly params: FitParams) {}

  /** @internal */
  add(epoch: number, logs: Logs): void {
    this.epoch.push(epoch);
    for (const [name, value] of Object.entries(logs)) (this.history[name] ??= []).push(value);
  }
}
