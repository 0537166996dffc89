import type { Logs } from '../models/programs.js';
import type { Model } from '../models/model.js';

type Hook<A extends unknown[]> = (...args: A) => void | Promise<void>;

/** Hooks around training; all optional, all awaited. Batch hooks make fit go step by step. */
export interface CallbackHooks {
  setParams?: (params: FitParams) => void;
  setModel?: (model: Model) => void;
  onTrainBegin?: Hook<[logs?: Logs]>;
  onTrainEnd?: Hook<[logs?: Logs]>;
  onEpochBegin?: Hook<[epoch: number, logs?: Logs]>;
  onEpochEnd?: Hook<[epoch: number, logs: Logs]>;
  onTrainBatchBegin?: Hook<[batch: number, logs?: Logs]>;
  onTrainBatchEnd?: Hook<[batch: number, logs: Logs]>;
  /** Another name of onTrainBatchBegin. */
  onBatchBegin?: Hook<[batch: number, logs?: Logs]>;
  /** Another name of onTrainBatchEnd. */
  onBatchEnd?: Hook<[batch: number, logs: Logs]>;
  onTestBegin?: Hook<[logs?: Logs]>;
  onTestEnd?: Hook<[logs: Logs]>;
}

export interface FitParams {
  verbose: number;
  epochs: number;
  /** Steps per epoch, where known. */
  steps: number | undefined;
}

/** The base of callbacks that are classes; plain objects with some of the hooks do as well (https://keras.io/api/callbacks/). */
export interface Callback extends CallbackHooks {}
export abstract class Callback {
  model!: Model;
  params!: FitParams;

  setModel(model: Model): void {
    this.model = model;
  }

  setParams(params: FitParams): void {
    this.params = params;
  }
}

const batchHooks = ['onTrainBatchBegin', 'onTrainBatchEnd', 'onBatchBegin', 'onBatchEnd'] as const;

/** Calls the hooks of several callbacks one after the other. */
export class CallbackList {
  constructor(private readonly callbacks: readonly CallbackHooks[]) {}

  get hasBatchHooks(): boolean {
    return this.callbacks.some((callback) => batchHooks.some((hook) => typeof callback[hook] === 'function'));
  }

  begin(model: Model, params: FitParams): void {
    for (const callback of this.callbacks) {
      callback.setParams?.(params);
      callback.setModel?.(model);
    }
  }

  async call<K extends Exclude<keyof CallbackHooks, 'setParams' | 'setModel'>>(hook: K, ...args: Parameters<NonNullable<CallbackHooks[K]>>): Promise<void> {
    for (const callback of this.callbacks) {
      const fn = callback[hook] as ((...all: unknown[]) => void | Promise<void>) | undefined;
      await fn?.apply(callback, args);
    }
  }
}
