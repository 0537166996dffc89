import type { CallbackHooks } from '../callbacks/callback.js';
import type { DataInput } from '../data/columns.js';
import { Dataset } from '../data/dataset.js';
import { ChainruleError, checkOptions, shown } from '../errors.js';
import { type ClassWeight, checkClassWeight } from './class_weight.js';
import type { ResumeSpec } from './resume.js';

export interface FitOptions {
  /** Rows per step. Default 32. */
  batchSize?: number;
  /** Passes over the data. Default 1. */
  epochs?: number;
  /** 0 silent, 1 progress bar, 2 one line per epoch; 'auto' is 1. Progress goes to stderr. */
  verbose?: 0 | 1 | 2 | 'auto';
  callbacks?: readonly CallbackHooks[] | CallbackHooks;
  /** The last part of the rows (0 … 1) is kept for validation. */
  validationSplit?: number;
  /** [x, y], [x, y, sampleWeight] or a Dataset. */
  validationData?: readonly [DataInput, DataInput, DataInput?] | Dataset;
  /** Mix the rows anew for each epoch (default true). */
  shuffle?: boolean;
  classWeight?: ClassWeight;
  /** One weight per row. */
  sampleWeight?: DataInput;
  /** The number of the first epoch, when training goes on. Default 0. */
  initialEpoch?: number;
  stepsPerEpoch?: number;
  validationSteps?: number;
  validationBatchSize?: number;
  /** Validate every so many epochs, or at those listed (from 1). Default 1. */
  validationFreq?: number | readonly number[];
  /**
   * A folder for checkpoints: a run that was killed goes on from the newest and ends with the bits of one that was never
   * interrupted. Data and callbacks must be the same; a stream must give the same batches again.
   */
  resume?: ResumeSpec;
  /** Accept NaN and Infinity in the data (default false). */
  allowNonFinite?: boolean;
  /** Stops within one step; fit rejects with the signal's reason. */
  signal?: AbortSignal;
}

export const fitOptionNames: readonly string[] = [
  'batchSize',
  'epochs',
  'verbose',
  'callbacks',
  'validationSplit',
  'validationData',
  'shuffle',
  'classWeight',
  'sampleWeight',
  'initialEpoch',
  'stepsPerEpoch',
  'validationSteps',
  'validationBatchSize',
  'validationFreq',
  'resume',
  'allowNonFinite',
  'signal',
];

/** Refuses option names and values that fit does not take. */
export function checkFitOptions(options: FitOptions): void {
  checkOptions('fit', options, fitOptionNames);
  for (const name of ['epochs', 'batchSize', 'stepsPerEpoch', 'validationSteps', 'validationBatchSize'] as const) {
    const value = options[name];
    if (value === undefined || (Number.isInteger(value) && value >= 1)) continue;
    throw new ChainruleError('ERR_CHAINRULE_OPTION', `fit: ${name} must be an integer >= 1, got ${shown(value)}.`, {
      details: { option: name, value },
    });
  }
  const { validationSplit, validationData, classWeight, sampleWeight } = options;
  if (validationSplit !== undefined && !(validationSplit >= 0 && validationSplit < 1)) {
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `fit: validationSplit must be a number from 0 to below 1, got ${String(validationSplit)}.`,
    );
  }
  const isPair = Array.isArray(validationData) && (validationData.length === 2 || validationData.length === 3);
  if (validationData && !isPair && !(validationData instanceof Dataset))
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `fit: validationData is a list [x, y] or [x, y, sampleWeight], or a Dataset; got ${shown(validationData)}.`,
    );
  if (classWeight && sampleWeight !== undefined)
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      'fit: classWeight and sampleWeight cannot be used together; multiply the class weights into sampleWeight.',
    );
  if (classWeight) checkClassWeight(classWeight);
}

/** Refuses options in the place of the targets: a forgotten y. */
export function checkTargets(where: string, y: unknown, options: readonly string[]): void {
  if (typeof y !== 'object' || y === null || Object.getPrototypeOf(y) !== Object.prototype) return;
  const keys = Object.keys(y);
  if (keys.length === 0 || !keys.every((key) => options.includes(key))) return;
  throw new ChainruleError(
    'ERR_CHAINRULE_INPUT',
    `${where}: the second argument, { ${keys.join(', ')} }, is options, but targets stand there: ${where}(x, y, { ${keys.join(', ')} }). A model that needs no targets takes undefined.`,
  );
}
