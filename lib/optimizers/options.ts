import type { Serialized } from '../config.js';
import { ChainruleError, shown } from '../errors.js';
import { below } from '../rules.js';
import type { LearningRateSchedule } from '../schedules/index.js';
import type { ClipOptions } from './clipping.js';

export interface OptimizerOptions extends ClipOptions {
  /** A number, or a schedule, which is traced. */
  learningRate?: number | LearningRateSchedule | Serialized;
  name?: string;
  /** Decoupled decay: w ← w − w · weightDecay · learningRate, before the update. */
  weightDecay?: number | null;
  /** Keep a moving average of the weights, which replaces them at the end of fit. */
  useEma?: boolean;
  /** Default 0.99. */
  emaMomentum?: number;
  /** Replace the weights by their average every so many steps. */
  emaOverwriteFrequency?: number | null;
  /** Gradients are divided by it. */
  lossScaleFactor?: number | null;
  /** Gradients of so many steps are averaged before an update. */
  gradientAccumulationSteps?: number | null;
}

/** Decay of a moving average that is corrected for its first steps: 1 would divide by nothing. */
export const beta = below(0, 1);

export function checkedRate(where: string, rate: unknown): number {
  if (typeof rate === 'number' && rate >= 0 && Number.isFinite(rate)) return rate;
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `${where}: learningRate must be a number >= 0 or a schedule, got ${shown(rate)}.`,
  );
}
