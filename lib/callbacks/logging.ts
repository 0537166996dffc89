import { promises as fs } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { ChainruleError, checkOptions, shown } from '../errors.js';
import type { Logs } from '../models/programs.js';
import { checkRules, flag, text } from '../rules.js';
import { Callback, type CallbackHooks, type CallbackState, checkHooks } from './callback.js';

/** Ends fit when the loss of an epoch is NaN or infinite (https://keras.io/api/callbacks/terminate_on_nan/). */
export class TerminateOnNaN extends Callback {
  constructor(options?: Record<string, never>) {
    super();
    checkOptions('TerminateOnNaN', options, []);
  }

  onEpochEnd(epoch: number, logs: Logs): void {
    const { loss } = logs;
    if (typeof loss !== 'number' || Number.isFinite(loss)) return;
    process.stderr.write(`Epoch ${epoch + 1}: invalid loss ${loss}, terminating training.\n`);
    this.model.stopTraining = true;
  }
}

/** Hooks given as functions (https://keras.io/api/callbacks/lambda_callback/); a plain object does the same. */
export class LambdaCallback extends Callback {
  constructor(hooks: CallbackHooks) {
    super();
    if (hooks === undefined)
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        'LambdaCallback: hooks are missing. Write callbacks.lambdaCallback({ onEpochEnd: (epoch, logs) => { … } }).',
      );
    checkHooks('LambdaCallback', hooks);
    Object.assign(this, hooks);
  }
}

/** Writes a line per epoch (https://keras.io/api/callbacks/csv_logger/). */
export class CSVLogger extends Callback {
  readonly separator: string;
  readonly append: boolean;
  private file: FileHandle | undefined;
  private keys: string[] | undefined;
  /** Bytes that belong to the training that goes on. */
  private kept: number | undefined;

  constructor(
    readonly filename: string,
    options: { separator?: string; append?: boolean } = {},
  ) {
    super();
    checkRules('CSVLogger', options, { separator: text, append: flag });
    if (typeof filename !== 'string' || filename === '')
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `CSVLogger: a file name is expected, got ${shown(filename)}. Write callbacks.csvLogger('log.csv').`,
      );
    this.separator = options.separator ?? ',';
    this.append = options.append ?? false;
  }

  onTrainBegin(): void {
    this.keys = undefined;
    this.kept = undefined;
  }

  async getState(): Promise<CallbackState> {
    return { keys: this.keys ?? null, size: this.file ? (await this.file.stat()).size : null };
  }

  setState(state: CallbackState): void {
    this.keys = (state.keys as string[] | null) ?? undefined;
    this.kept = (state.size as number | null) ?? undefined;
  }

  async onEpochEnd(epoch: number, logs: Logs): Promise<void> {
    this.file ??= await this.open();
    if (!this.keys) {
      this.keys = Object.keys(logs).sort();
      const { size } = await this.file!.stat();
      if (size === 0) await this.file!.write(`${['epoch', ...this.keys].join(this.separator)}\n`);
    }
    const cell = (value: number | undefined): string => (value === undefined ? 'NA' : String(value));
    await this.file!.write(`${[epoch, ...this.keys.map((key) => cell(logs[key]))].join(this.separator)}\n`);
  }

  async onTrainEnd(): Promise<void> {
    this.file ??= await this.open();
    await this.file.close();
    this.file = undefined;
  }

  /** When a training goes on, lines of epochs behind the checkpoint are cut off. */
  private async open(): Promise<FileHandle> {
    if (this.kept === undefined) return await fs.open(this.filename, this.append ? 'a' : 'w');
    const file = await fs.open(this.filename, 'a');
    await file.truncate(this.kept);
    return file;
  }
}
