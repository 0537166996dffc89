import { ChainruleError, checkOptions, shown } from '../errors.js';
import type { Model } from '../models/model.js';
import type { Logs } from '../models/programs.js';

/** Hooks around training; all optional, all awaited. Batch hooks make fit go step by step. */
export interface CallbackHooks {
  setParams?(params: FitParams): void;
  setModel?(model: Model): void;
  onTrainBegin?(logs?: Partial<Logs>): HookResult;
  onTrainEnd?(logs?: Partial<Logs>): HookResult;
  onEpochBegin?(epoch: number, logs?: Partial<Logs>): HookResult;
  onEpochEnd?(epoch: number, logs: Logs): HookResult;
  onTrainBatchBegin?(batch: number, logs?: Partial<Logs>): HookResult;
  onTrainBatchEnd?(batch: number, logs: Logs): HookResult;
  /** Another name of onTrainBatchBegin. */
  onBatchBegin?(batch: number, logs?: Partial<Logs>): HookResult;
  /** Another name of onTrainBatchEnd. */
  onBatchEnd?(batch: number, logs: Logs): HookResult;
  onTestBegin?(logs?: Partial<Logs>): HookResult;
  onTestEnd?(logs: Logs): HookResult;
  /** What must be known to go on later (plain values and NDArrays), for checkpoints of fit with `resume`. */
  getState?(): CallbackState | Promise<CallbackState>;
  /** Puts the state back, after onTrainBegin. */
  setState?(state: CallbackState): void;
}

export type CallbackState = Readonly<Record<string, unknown>>;

type HookResult = void | Promise<void>;

export interface FitParams {
  verbose: number;
  epochs: number;
  /** Steps per epoch, where known. */
  steps: number | undefined;
}

/** The base of callbacks that are classes, which define the hooks of CallbackHooks that they need; plain objects with some of the hooks do as well (https://keras.io/api/callbacks/). */
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

/** Every hook. */
const hookNames: readonly (keyof CallbackHooks)[] = [
  'setParams',
  'setModel',
  'onTrainBegin',
  'onTrainEnd',
  'onEpochBegin',
  'onEpochEnd',
  'onTrainBatchBegin',
  'onTrainBatchEnd',
  'onBatchBegin',
  'onBatchEnd',
  'onTestBegin',
  'onTestEnd',
  'getState',
  'setState',
];

/** Refuses hooks that would never be called: misspelt ones, and those that only Keras calls. */
export function checkHooks(where: string, hooks: object): void {
  for (const name of Object.keys(hooks ?? {})) {
    if (!/^on(TestBatch|Predict(Batch)?)(Begin|End)$/.test(name)) continue;
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `${where}: ${name} is not called here: fit calls onTestBegin and onTestEnd around each validation, and predict calls no hooks.`,
      { details: { where, option: name }, above: checkHooks },
    );
  }
  checkOptions(where, hooks, hookNames);
}

const batchHooks = ['onTrainBatchBegin', 'onTrainBatchEnd', 'onBatchBegin', 'onBatchEnd'] as const;

/** Calls the hooks of several callbacks one after the other. */
export class CallbackList {
  constructor(private readonly callbacks: readonly CallbackHooks[]) {
    const wrong = callbacks.find((callback) => typeof callback !== 'object' || callback === null);
    if (wrong !== undefined)
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `callbacks: a callback is an object with hooks, got ${shown(wrong)}. Make one: callbacks.earlyStopping({ … }), or new.`,
      );
    // What classes call their methods is their own affair.
    for (const callback of callbacks)
      if (Object.getPrototypeOf(callback) === Object.prototype)
        checkHooks('callbacks', Object.fromEntries(Object.entries(callback).filter(([key]) => /^on[A-Z]/.test(key))));
  }

  get hasBatchHooks(): boolean {
    return this.callbacks.some((callback) => batchHooks.some((hook) => typeof callback[hook] === 'function'));
  }

  begin(model: Model, params: FitParams): void {
    for (const callback of this.callbacks) {
      callback.setParams?.(params);
      callback.setModel?.(model);
    }
  }

  /** The states of all callbacks, null where one has none. */
  states(): Promise<unknown[]> {
    return Promise.all(this.callbacks.map(async (callback) => (await callback.getState?.()) ?? null));
  }

  setStates(states: readonly unknown[]): void {
    for (const [i, callback] of this.callbacks.entries()) {
      const state = states[i];
      if (state) callback.setState?.(state as CallbackState);
    }
  }

  async call<K extends Exclude<keyof CallbackHooks, 'setParams' | 'setModel' | 'getState' | 'setState'>>(
    hook: K,
    ...args: Parameters<NonNullable<CallbackHooks[K]>>
  ): Promise<void> {
    for (const callback of this.callbacks) {
      const fn = callback[hook] as ((...all: unknown[]) => HookResult) | undefined;
      await fn?.apply(callback, args);
    }
  }
}
