import { resolveActivation } from '../../activations/index.js';
import { type Config, type Family, neutralTable, optionTable, type Serialized, sameJson } from '../../config.js';
import { constraintFamily } from '../../constraints/index.js';
import { ChainruleError } from '../../errors.js';
import { initializerFamily } from '../../initializers/initializer.js';
import { layerFamily } from '../../layers/index.js';
import { Layer } from '../../layers/layer.js';
import { modeOf, policyOf } from '../../layers/quantization.js';
import { lossFamily } from '../../losses/loss.js';
import { metricFamily } from '../../metrics/metric.js';
import { camelCase } from '../../names.js';
import { optimizerFamily } from '../../optimizers/optimizer.js';
import { findCustom } from '../../registered.js';
import { regularizerFamily } from '../../regularizers/index.js';
import { scheduleFamily } from '../../schedules/index.js';
import { findOperation } from './operations.js';

// biome-ignore lint/suspicious/noExplicitAny: families of different classes side by side
type AnyFamily = Family<any>;

/** Parts of Keras's module names → the family of classes that they hold. */
const families: readonly (readonly [part: string, family: AnyFamily])[] = [
  ['schedules', scheduleFamily],
  ['optimizers', optimizerFamily],
  ['initializers', initializerFamily],
  ['regularizers', regularizerFamily],
  ['constraints', constraintFamily],
  ['losses', lossFamily],
  ['metrics', metricFamily],
  ['layers', layerFamily],
  ['models', layerFamily],
  ['engine', layerFamily],
];

/** Classes that hold code, or run another program's. */
const unsafe = new Set([
  'Lambda',
  '__lambda__',
  'TorchModuleWrapper',
  'TFSMLayer',
  'JaxLayer',
  'FlaxLayer',
  'NNXLayer',
]);
/** What layers compute with; those of Hashing say what its integers are. */
const policies = new Set(['float32', 'mixed_bfloat16', 'int64', 'int32', 'string']);
/** Parts of rules that quantized layers look at themselves. */
const quantizers = new Set(['Int8QuantizationConfig', 'AbsMaxQuantizer']);
/** Marks that stand for values, not objects. */
const values = new Set(['__keras_tensor__', '__slice__', '__ellipsis__', '__numpy__', '__tensor__', '__tuple__']);

const maxDepth = 64;
const maxObjects = 1_000_000;

interface Found {
  unsafe: Map<string, number>;
  unknown: Map<string, number>;
  options: string[];
}

/**
 * Looks through the description of a model before anything is made of it: every class must be known and every option
 * understood. What is not is listed in one error.
 */
export function checkDescription(root: unknown, label: string): void {
  const found: Found = { unsafe: new Map(), unknown: new Map(), options: [] };
  const open: { value: unknown; key: string; depth: number }[] = [{ value: root, key: '', depth: 0 }];
  let objects = 0;
  for (let item = open.pop(); item; item = open.pop()) {
    const { value, key, depth } = item;
    if (typeof value !== 'object' || value === null) continue;
    if (depth > maxDepth) throw broken(label, `is nested deeper than ${maxDepth}`);
    if (++objects > maxObjects) throw broken(label, `holds more than ${maxObjects} objects`);
    if (!Array.isArray(value)) inspect(value as Partial<Serialized>, key, found);
    for (const [name, inner] of Object.entries(value))
      open.push({ value: inner, key: Array.isArray(value) ? key : name, depth: depth + 1 });
  }
  report(found, label);
}

function broken(label: string, what: string): ChainruleError {
  return new ChainruleError('ERR_CHAINRULE_FORMAT', `${label}: the description of the model ${what}.`);
}

const count = (map: Map<string, number>, what: string): void => {
  map.set(what, (map.get(what) ?? 0) + 1);
};

function inspect(saved: Partial<Serialized>, key: string, found: Found): void {
  const { class_name: name, config } = saved;
  if (typeof name !== 'string' || config === undefined || values.has(name)) return;
  if (unsafe.has(name)) count(found.unsafe, name);
  else if (name === 'function') {
    if (!knownFunction(String(config), saved.registered_name)) count(found.unknown, `function "${String(config)}"`);
  } else if (name === 'DTypePolicy') {
    if (!policies.has(String((config as Config).name)))
      found.options.push(`dtype policy "${String((config as Config).name)}" (float32 and mixed_bfloat16 are)`);
  } else if (policyOf(saved) !== undefined) {
    if (!modeOf(policyOf(saved)!)) found.options.push(`dtype policy "${policyOf(saved)}"`);
  } else if (quantizers.has(name)) return;
  else if (typeof config === 'object' && config !== null) inspectObject(name, config, saved, key, found);
}

function inspectObject(name: string, config: Config, saved: Partial<Serialized>, key: string, found: Found): void {
  const { module } = saved;
  const title = config.name;
  const where = typeof title === 'string' && title !== '' ? `${name} "${title}"` : name;
  const operation = findOperation(module, name);
  if (operation) {
    checkOptions(where, config, (option) => operation.options.includes(option), {}, found);
    return;
  }
  const family = familyOf(module, key);
  const cls: unknown = family ? family.classOf(name, saved) : findCustom(saved.registered_name, name);
  if (!cls) count(found.unknown, `${family?.registry.kind ?? 'class'} ${name}${module ? ` (${module})` : ''}`);
  else if (!readsItself(cls)) {
    const table = optionTable(cls);
    checkOptions(where, config, (option) => Object.hasOwn(table, camelCase(option)), neutralTable(cls), found);
  }
}

function familyOf(module: unknown, key: string): AnyFamily | undefined {
  if (typeof module !== 'string') return familyByKey(key);
  const parts = module.split('.');
  if (parts[0] !== 'keras' && parts[0] !== 'tf_keras') return undefined;
  if (parts.length === 1) return layerFamily; // Sequential and Model
  return families.find(([part]) => parts.includes(part))?.[1];
}

/** Files without modules (Keras 2): the key says what an object is. */
function familyByKey(key: string): AnyFamily {
  if (key.endsWith('initializer')) return initializerFamily;
  if (key.endsWith('regularizer')) return regularizerFamily;
  if (key.endsWith('constraint')) return constraintFamily;
  if (key === 'learning_rate') return scheduleFamily;
  if (key.startsWith('optimizer')) return optimizerFamily;
  if (key.startsWith('loss')) return lossFamily;
  return key.endsWith('metrics') ? metricFamily : layerFamily;
}

/** Classes with a `fromConfig` of their own understand more than their options. */
function readsItself(cls: unknown): boolean {
  const own = (cls as { fromConfig?: unknown }).fromConfig;
  return typeof own === 'function' && own !== Layer.fromConfig;
}

function knownFunction(name: string, registered: string | null | undefined): boolean {
  if (findCustom(registered, name)) return true;
  if (lossFamily.registry.find(name) || metricFamily.registry.find(name)) return true;
  try {
    return resolveActivation(name as never) !== undefined;
  } catch {
    return false;
  }
}

function checkOptions(
  where: string,
  config: Config,
  known: (option: string) => boolean,
  neutral: Config,
  found: Found,
): void {
  for (const [option, value] of Object.entries(config)) {
    if (value === null || option === 'name' || known(option)) continue;
    if (option === 'dtype' || (Object.hasOwn(neutral, option) && sameJson(neutral[option], value))) continue;
    found.options.push(`option ${option} = ${shorten(JSON.stringify(value))} of ${where}`);
  }
}

const shorten = (text: string): string => (text.length > 60 ? `${text.slice(0, 57)}...` : text);

function report({ unsafe: code, unknown, options }: Found, label: string): void {
  const named = (map: Map<string, number>): string[] =>
    [...map].map(([name, times]) => (times > 1 ? `${name} (${times} times)` : name));
  const lines = [
    ...named(code).map((name) => `${name}: it holds code, which is never run`),
    ...named(unknown),
    ...options.slice(0, 40),
    ...(options.length > 40 ? [`and ${options.length - 40} more options`] : []),
  ];
  if (lines.length === 0) return;
  const help =
    unknown.size > 0
      ? `\nLayers that are supported: ${layerFamily.registry.classNames().join(', ')}. Classes of your own: registerClass(cls), or loadModel(path, { customObjects: { Name: cls } }).`
      : '';
  throw new ChainruleError(
    code.size > 0
      ? 'ERR_CHAINRULE_UNSAFE_LAYER'
      : unknown.size > 0
        ? 'ERR_CHAINRULE_UNKNOWN_CLASS'
        : 'ERR_CHAINRULE_UNSUPPORTED',
    `${label}: this model needs what is not supported:${lines.map((line) => `\n  - ${line}`).join('')}${help}`,
    { details: { unsafe: [...code.keys()], unknown: [...unknown.keys()], options } },
  );
}
