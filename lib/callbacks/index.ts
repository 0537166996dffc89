import { withoutNulls } from '../rules.js';
import { BackupAndRestore, type BackupAndRestoreOptions } from './backup_and_restore.js';
import type { CallbackHooks } from './callback.js';
import { EarlyStopping, type EarlyStoppingOptions } from './early_stopping.js';
import {
  LearningRateScheduler,
  ReduceLROnPlateau,
  type ReduceLROnPlateauOptions,
  type ScheduleFunction,
} from './learning_rate.js';
import { CSVLogger, LambdaCallback, TerminateOnNaN } from './logging.js';
import { ModelCheckpoint, type ModelCheckpointOptions } from './model_checkpoint.js';

export { BackupAndRestore, type BackupAndRestoreOptions } from './backup_and_restore.js';
export { Callback, type CallbackHooks, type FitParams } from './callback.js';
export { EarlyStopping, type EarlyStoppingOptions } from './early_stopping.js';
export {
  LearningRateScheduler,
  ReduceLROnPlateau,
  type ReduceLROnPlateauOptions,
  type ScheduleFunction,
} from './learning_rate.js';
export { CSVLogger, LambdaCallback, TerminateOnNaN } from './logging.js';
export { ModelCheckpoint, type ModelCheckpointOptions } from './model_checkpoint.js';

export const earlyStopping = (options?: EarlyStoppingOptions): EarlyStopping =>
  new EarlyStopping(withoutNulls(options));
export const learningRateScheduler = (
  schedule: ScheduleFunction,
  options?: { verbose?: 0 | 1 },
): LearningRateScheduler => new LearningRateScheduler(schedule, withoutNulls(options));
export const reduceLROnPlateau = (options?: ReduceLROnPlateauOptions): ReduceLROnPlateau =>
  new ReduceLROnPlateau(withoutNulls(options));
export const modelCheckpoint = (filepath: string, options?: ModelCheckpointOptions): ModelCheckpoint =>
  new ModelCheckpoint(filepath, withoutNulls(options));
export const backupAndRestore = (backupDir: string, options?: BackupAndRestoreOptions): BackupAndRestore =>
  new BackupAndRestore(backupDir, withoutNulls(options));
export const terminateOnNaN = (options?: Record<string, never>): TerminateOnNaN =>
  new TerminateOnNaN(withoutNulls(options));
export const lambdaCallback = (hooks: CallbackHooks): LambdaCallback => new LambdaCallback(hooks);
export const csvLogger = (filename: string, options?: { separator?: string; append?: boolean }): CSVLogger =>
  new CSVLogger(filename, withoutNulls(options));
