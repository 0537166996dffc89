import type { CallbackHooks } from '../callbacks/callback.js';
import type { DataInput } from '../data/columns.js';
import { Dataset } from '../data/dataset.js';
import { ChainruleError, shown } from '../errors.js';
import { anything, below, checkRules, flag, integer, orList, type Rule, signal, verbosity } from '../rules.js';
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
  validationFreq?: number | readonly number[] | ReadonlySet<number>;
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

const everyOrListed = orList(integer(1));
const epochsOfValidation: Rule = {
  expected: everyOrListed.expected,
  allows: (value) => everyOrListed.allows(value instanceof Set ? [...value] : value),
};

const fitRules = {
  batchSize: integer(1),
  epochs: integer(1),
  verbose: verbosity,
  callbacks: anything,
  validationSplit: below(0, 1),
  validationData: anything,
  shuffle: flag,
  classWeight: anything,
  sampleWeight: anything,
  initialEpoch: integer(0),
  stepsPerEpoch: integer(1),
  validationSteps: integer(1),
  validationBatchSize: integer(1),
  validationFreq: epochsOfValidation,
  resume: anything,
  allowNonFinite: flag,
  signal,
};
export const fitOptionNames: readonly string[] = Object.keys(fitRules);

/** Refuses option names and values that fit does not take. */
export function checkFitOptions(options: FitOptions): void {
  checkRules('fit', options, fitRules);
  const { validationData, classWeight, sampleWeight } = options;
  const isPair = Array.isArray(validationData) && (validationData.length === 2 || validationData.length === 3);
  if (validationData && !isPair && !(validationData instanceof Dataset))
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `fit: validationData is a list [x, y] or [x, y, sampleWeight], or a Dataset; got ${shown(validationData)}.`,
    );
  if (classWeight !== undefined && classWeight !== null && sampleWeight !== undefined)
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      'fit: classWeight and sampleWeight cannot be used together; multiply the class weights into sampleWeight.',
    );
  if (classWeight !== undefined && classWeight !== null) checkClassWeight(classWeight);
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
