import type { Config, Serialized } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import { Loss, lossFamily } from '../../losses/loss.js';
import { Metric, metricFamily } from '../../metrics/metric.js';
import { snakeClass } from '../../names.js';
import { optimizerFamily } from '../../optimizers/optimizer.js';
import { findCustom } from '../../registered.js';
import type { Compiled, CompileOptions } from '../compile.js';

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

/** Short names that Keras knows, too. */
const shortNames = new Set(['mse', 'mae', 'mape', 'msle', 'bce', 'kld', 'accuracy', 'acc', 'crossentropy', 'ce']);

/** Keras's compile_config: what compile was called with. */
export function compileConfig({ options, optimizer }: Compiled): Config {
  return {
    optimizer: optimizerFamily.serialize(optimizer),
    loss: save(options.loss, saveLoss),
    loss_weights: options.lossWeights ?? null,
    metrics: save(options.metrics, saveMetric),
    weighted_metrics: save(options.weightedMetrics, saveMetric),
    run_eagerly: false,
    steps_per_execution: 1,
    jit_compile: false,
  };
}

/** One entry, or lists and records of them. */
function save(value: unknown, one: (value: unknown) => unknown): unknown {
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) return value.map((item) => save(item, one));
  const isRecord = typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype;
  if (!isRecord || 'class_name' in value) return one(value);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, save(item, one)]));
}

function saveLoss(spec: unknown): unknown {
  if (typeof spec === 'string') return shortNames.has(spec) ? spec : snakeClass(lossFamily.resolve(spec).className);
  if (typeof spec === 'function') return saveFunction(spec.name, 'loss', (name) => lossFamily.registry.find(name));
  return spec instanceof Loss ? lossFamily.serialize(spec) : spec;
}

function saveMetric(spec: unknown): unknown {
  if (typeof spec === 'function') return saveFunction(spec.name, 'metric', (name) => metricFamily.registry.find(name));
  if (typeof spec !== 'string') return spec instanceof Metric ? metricFamily.serialize(spec) : spec;
  if (shortNames.has(spec)) return spec;
  const metric = metricFamily.resolve(spec);
  if (snakeClass(metric.className) === spec) return spec;
  // The name stands in logs and histories: it stays what it was.
  metric.name = spec;
  return metricFamily.serialize(metric);
}

/** A function is code: a file can only name it. */
function saveFunction(name: string, kind: string, find: (name: string) => unknown): unknown {
  const cls = name === '' ? undefined : (find(name) as { name: string } | undefined);
  if (cls) return snakeClass(cls.name);
  if (name !== '') return { module: 'builtins', class_name: 'function', config: name, registered_name: name };
  throw new ChainruleError(
    'ERR_CHAINRULE_UNSUPPORTED',
    `save: a ${kind} of compile is a function without a name, which a file cannot mention. Give it a name, and pass it to loadModel in customObjects.`,
  );
}
