import type { Config, Serialized } from '../../config.js';
import { lossFamily } from '../../losses/loss.js';
import { metricFamily } from '../../metrics/metric.js';
import { optimizerFamily } from '../../optimizers/optimizer.js';
import { findCustom } from '../../registered.js';
import type { CompileOptions } from '../compile.js';

/** What compile is called with, from Keras's compile_config. Runs inside the load scope. */
export function compileOptions(config: Config): CompileOptions {
  const { optimizer, loss, loss_weights: lossWeights, metrics, weighted_metrics: weightedMetrics } = config;
  const options = {
    optimizer:
      optimizer === null || optimizer === undefined ? undefined : optimizerFamily.resolve(optimizer as Serialized),
    loss: revive(loss, (saved) => lossFamily.resolve(saved)),
    lossWeights: lossWeights ?? undefined,
    metrics: revive(metrics, (saved) => metricFamily.resolve(saved)) ?? undefined,
    weightedMetrics: revive(weightedMetrics, (saved) => metricFamily.resolve(saved)) ?? undefined,
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as CompileOptions;
}

/** Objects and functions of the program in place of their descriptions; names stay names. */
function revive(value: unknown, resolve: (saved: Serialized) => unknown): unknown {
  if (typeof value === 'string') return findCustom(value) ?? value;
  if (Array.isArray(value)) return value.map((item) => revive(item, resolve));
  if (typeof value !== 'object' || value === null) return value ?? undefined;
  const saved = value as Serialized;
  if (typeof saved.class_name !== 'string')
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, revive(item, resolve) ?? null]));
  if (saved.class_name !== 'function') return resolve(saved);
  const name = String(saved.config);
  return findCustom(saved.registered_name, name) ?? name;
}
