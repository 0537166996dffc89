import { promises as fs } from 'node:fs';
import { dirname } from 'node:path';
import { ChainruleError, shown } from '../errors.js';
import type { Logs } from '../models/programs.js';
import { checkRules, either, flag, integer, number, verbosity } from '../rules.js';
import type { CallbackState } from './callback.js';
import { MonitorCallback, type MonitorOptions, monitorRules } from './monitor.js';

export interface ModelCheckpointOptions extends Omit<MonitorOptions, 'minDelta'> {
  verbose?: 0 | 1;
  /** Save only when the watched number is the best so far (default false). */
  saveBestOnly?: boolean;
  /** Save the weights alone, to a path that ends in `.weights.h5` or `.safetensors` (default false). */
  saveWeightsOnly?: boolean;
  /** After each epoch (default), or after every so many batches. */
  saveFreq?: 'epoch' | number;
  /** What must be beaten by the first save, with saveBestOnly. */
  initialValueThreshold?: number;
}

const optionRules = {
  ...monitorRules,
  verbose: verbosity,
  saveBestOnly: flag,
  saveWeightsOnly: flag,
  saveFreq: either('epoch', integer(1)),
  initialValueThreshold: number,
};

/**
 * Saves the model while it trains (https://keras.io/api/callbacks/model_checkpoint/). The path may hold `{epoch}`,
 * `{batch}` (both from 1) and any log by name, with digits as in Python: `best-{epoch:02d}-{val_loss:.2f}.keras`.
 */
export class ModelCheckpoint extends MonitorCallback {
  readonly verbose: number;
  readonly saveBestOnly: boolean;
  readonly saveWeightsOnly: boolean;
  readonly saveFreq: 'epoch' | number;
  private batches = 0;
  private epoch = 0;
  /** Present with a saveFreq in batches only: batch hooks make fit go step by step. */
  onTrainBatchEnd?: (batch: number, logs: Logs) => Promise<void>;

  constructor(
    readonly filepath: string,
    options: ModelCheckpointOptions = {},
  ) {
    checkRules('ModelCheckpoint', options, optionRules);
    super(options);
    this.verbose = options.verbose ?? 0;
    this.saveBestOnly = options.saveBestOnly ?? false;
    this.saveWeightsOnly = options.saveWeightsOnly ?? false;
    this.saveFreq = options.saveFreq ?? 'epoch';
    this.best = options.initialValueThreshold;
    const endings = this.saveWeightsOnly ? ['.weights.h5', '.safetensors'] : ['.keras'];
    if (typeof filepath !== 'string' || !endings.some((ending) => filepath.endsWith(ending)))
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `ModelCheckpoint: the path of ${this.saveWeightsOnly ? 'weights' : 'a model'} must end in ${endings.join(' or ')}, got ${shown(filepath)}. Write callbacks.modelCheckpoint('best${endings[0]}', { saveBestOnly: true }).`,
      );
    const { saveFreq } = this;
    if (saveFreq === 'epoch') return;
    this.onTrainBatchEnd = async (batch, logs) => {
      if (++this.batches % saveFreq === 0) await this.save(logs, batch + 1);
    };
  }

  onEpochBegin(epoch: number): void {
    this.epoch = epoch;
  }

  async onEpochEnd(_epoch: number, logs: Logs): Promise<void> {
    if (this.saveFreq === 'epoch') await this.save(logs);
  }

  getState(): CallbackState {
    return { batches: this.batches, best: this.best ?? null };
  }

  setState(state: CallbackState): void {
    const { batches, best } = state as { batches: number; best: number | null };
    this.batches = batches;
    this.best = best ?? undefined;
  }

  private async save(logs: Logs, batch?: number): Promise<void> {
    if (this.saveBestOnly) {
      const current = this.current(logs);
      // As in Keras, a missing number is a warning, and the model is saved.
      if (current !== undefined) {
        if (!this.improves(current, this.best)) return;
        this.best = current;
      }
    }
    const path = this.path({ ...logs, epoch: this.epoch + 1, ...(batch !== undefined && { batch }) });
    await fs.mkdir(dirname(path), { recursive: true });
    if (this.saveWeightsOnly) await this.model.saveWeights(path);
    else await this.model.save(path);
    if (this.verbose) process.stderr.write(`Epoch ${this.epoch + 1}: saving model to ${path}\n`);
  }

  private path(values: Logs): string {
    return this.filepath.replace(/\{(\w+)(?::([^}]*))?\}/g, (_, name: string, format = '') => {
      const value = values[name];
      if (value === undefined)
        throw new ChainruleError(
          'ERR_CHAINRULE_OPTION',
          `ModelCheckpoint: the path names "${name}", which is not there; there are ${Object.keys(values).join(', ')}.`,
        );
      return python(value, format as string);
    });
  }
}

/** Python's format of a number, as far as file names use it: `02d`, `.2f`, `.3e`, `d`, none. */
function python(value: number, format: string): string {
  const match = /^(0?)(\d*)(?:\.(\d+))?([dfe]?)$/.exec(format);
  if (!match)
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `ModelCheckpoint: the format "${format}" is not supported; use forms such as 02d, .2f or .3e.`,
    );
  const [, zero, width, digits = '6', kind] = match;
  const text =
    kind === 'f'
      ? value.toFixed(Number(digits))
      : kind === 'e'
        ? value.toExponential(Number(digits)).replace(/e([+-])(\d)$/, 'e$10$2')
        : kind === 'd'
          ? String(Math.trunc(value))
          : String(value);
  return text.padStart(Number(width), zero ? '0' : ' ');
}
