import { ChainruleError, shown } from '../errors.js';
import { checkRules, either, flag, integer } from '../rules.js';
import { Callback } from './callback.js';

export interface BackupAndRestoreOptions {
  /** After each epoch (default), or also every so many steps. */
  saveFreq?: 'epoch' | number;
  /** Remove the checkpoints when fit has ended well (default true). */
  deleteCheckpoint?: boolean;
  /** Keras keeps an older checkpoint beside the newest on request; here two are always kept. */
  doubleCheckpoint?: boolean;
}

/**
 * Lets fit go on where a run that was killed stopped, with the bits of an uninterrupted one: what `fit(…, { resume })`
 * does, as a callback (https://keras.io/api/callbacks/backup_and_restore/).
 */
export class BackupAndRestore extends Callback {
  readonly saveFreq: 'epoch' | number;
  readonly deleteCheckpoint: boolean;

  constructor(
    readonly backupDir: string,
    options: BackupAndRestoreOptions = {},
  ) {
    super();
    checkRules('BackupAndRestore', options, {
      saveFreq: either('epoch', integer(1)),
      deleteCheckpoint: flag,
      doubleCheckpoint: flag,
    });
    if (typeof backupDir !== 'string' || backupDir === '')
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `BackupAndRestore: a folder for the checkpoints is expected, got ${shown(backupDir)}. Write callbacks.backupAndRestore('checkpoints').`,
      );
    this.saveFreq = options.saveFreq ?? 'epoch';
    this.deleteCheckpoint = options.deleteCheckpoint ?? true;
  }
}
