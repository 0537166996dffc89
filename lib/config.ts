import { checkClassOptions, kindOf, neutralTable, noteFamily, optionTable } from './class_options.js';
import { ChainruleError, shown } from './errors.js';
import { camelCase, snakeCase } from './names.js';
import { findCustom, noteShared, registeredName, sharedObjects } from './registered.js';
import { Registry } from './registry.js';
import { asInFiles, type Rule } from './rules.js';

/** What stands in config files: Keras's snake_case keys and plain JSON values. */
export type Config = Record<string, unknown>;

/** How Keras writes an object into JSON. */
export interface Serialized {
  module: string | null;
  class_name: string;
  config: Config;
  registered_name: string | null;
  /** Equal numbers in one file mean one object. */
  shared_object_id?: number;
  /** What layers were built for. */
  build_config?: Config;
  /** What models were compiled with. */
  compile_config?: Config;
}

/**
 * What an option holds: a plain value (`local`: one that does not belong into files; `optional`: one that stands in files
 * only when it is set; `nullable`: where null means something else than nothing), or an object of a family that is
 * resolved from strings and configs.
 */
export type OptionKind =
  | 'value'
  | 'local'
  | 'optional'
  | 'nullable'
  | 'optionalRegularizer'
  | 'dtype'
  | 'initializer'
  | 'regularizer'
  | 'constraint'
  | 'activation'
  | 'schedule'
  | 'layer'
  | 'layers';
/** A rule alone is that of a plain value. */
export type OptionTable = Readonly<Record<string, OptionKind | (Rule & { readonly kind?: OptionKind })>>;

interface Converter {
  serialize(value: unknown): unknown;
}

const converters = new Map<OptionKind, Converter>();

/** A constructor of something configured; options objects differ from class to class. */
export type ConfiguredClass<T> = (abstract new (...args: never[]) => T) & { readonly options?: OptionTable };

export { checkClassOptions, checked, make, neutralTable, optionTable } from './class_options.js';

/** Everything with Keras options: knows its option names, rejects others, and gives its config in Keras's form. */
export abstract class Configured {
  /** The options of this class, without those of its parents. */
  static readonly options: OptionTable = {};
  /** Keras's keys that have no option here, with the only value that is understood: they are accepted and written. */
  static readonly neutral: Config = {};

  constructor(options?: object) {
    checkClassOptions(this.constructor as ConfiguredClass<unknown>, options);
  }

  get className(): string {
    return this.constructor.name;
  }

  /** The options in Keras's snake_case, as they stand in files. */
  getConfig(): Config {
    const config: Config = {};
    for (const [option, entry] of Object.entries(optionTable(this.constructor))) {
      const kind = kindOf(entry);
      if (kind === 'local') continue;
      const value = (this as unknown as Config)[option];
      if (value === undefined && kind.startsWith('optional')) continue;
      config[snakeCase(option)] = value === undefined ? null : (converters.get(kind)?.serialize(value) ?? value);
    }
    return { ...neutralTable(this.constructor), ...config };
  }

  /** What stands beside the config in a file. @internal */
  savedBeside(): Partial<Serialized> {
    return {};
  }
}

/** Keras's config as the options object of the constructor of a class. */
export function optionsFromConfig(config: Config, cls?: unknown): Record<string, unknown> {
  const neutral = neutralTable(cls);
  const table = optionTable(cls);
  const options: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(config)) {
    const option = camelCase(key);
    if (value === undefined || (value === null && kindOf(table[option]) !== 'nullable')) continue;
    if (key === 'dtype' && isFloat32(value)) continue;
    if (!Object.hasOwn(table, option) && Object.hasOwn(neutral, key) && sameJson(neutral[key], value)) continue;
    options[option] = constantOf(value) ?? value;
  }
  return options;
}

/** The numbers of an array of Python's, as nested lists. */
function constantOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  const { class_name: tag, config } = value as Partial<Serialized>;
  return tag === '__numpy__' || tag === '__tensor__' ? config?.value : undefined;
}

/** Whether two plain values are the same. */
export function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}

/** Keras writes the default dtype into every config, as a name or as a policy. */
function isFloat32(dtype: unknown): boolean {
  const name =
    typeof dtype === 'object' && dtype !== null ? (dtype as { config?: { name?: unknown } }).config?.name : dtype;
  return name === 'float32' || name === null;
}

/** A class that files may name; `fromConfig` where the config is more than the options of the constructor. */
export type FamilyClass<T> = (new (
  options: never,
) => T) & {
  fromConfig?(config: Config): T;
  /** Where the class is not in the module of its family. */
  readonly kerasModule?: string;
  /** Where Keras exports the class under another name than its own. */
  readonly kerasName?: string;
  /** Its factory in messages, where that is not named after the class. */
  readonly factory?: string;
};

/** A family of classes (`initializers`, `losses`, …) that strings, configs and instances resolve to. */
export class Family<T extends Configured> {
  readonly registry: Registry<FamilyClass<T>>;

  constructor(
    kind: string,
    /** `keras.initializers`, for files. */
    readonly module: string,
  ) {
    this.registry = new Registry(kind);
  }

  /** Registers a class under its own name and Keras's aliases. */
  add(cls: FamilyClass<T>, ...aliases: readonly string[]): this {
    this.registry.add(cls, cls.name, ...aliases);
    noteFamily(cls, this.module);
    return this;
  }

  /** An instance as it is; a name or a config becomes one. */
  resolve(spec: string | T | Serialized | { className: string; config?: Config }): T {
    if (typeof spec === 'string') return this.create(findCustom(spec) ?? this.registry.get(spec), {});
    if (spec instanceof Configured) return spec as T;
    if (typeof spec === 'object' && spec !== null) {
      const saved = spec as Partial<Serialized> & { className?: unknown };
      const name = saved.class_name ?? saved.className;
      if (name === 'function' && typeof saved.config === 'string') return this.resolve(saved.config as string);
      if (typeof name === 'string') return this.revive(name, saved);
    }
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `${article(this.registry.kind)} is a name, an object of its class or a config; got ${typeof spec === 'function' ? uncalled(spec) : shown(spec)}.`,
    );
  }

  serialize(value: T): Serialized {
    if (!((value as unknown) instanceof Configured))
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `serialize: ${article(this.registry.kind)} is expected, got ${shown(value)}.`,
      );
    const cls = value.constructor as FamilyClass<T>;
    const builtIn = this.registry.nameOf(cls) !== undefined;
    const module = builtIn ? (cls.kerasModule ?? this.module) : null;
    const saved: Serialized = {
      module,
      class_name: builtIn ? (cls.kerasName ?? value.className) : value.className,
      config: value.getConfig(),
      // Keras gives a name to classes that it does not export, and to those of the program.
      registered_name: builtIn
        ? module?.startsWith('keras.src.')
          ? value.className
          : null
        : (registeredName(cls) ?? value.className),
      ...value.savedBeside(),
    };
    noteShared(value, saved);
    return saved;
  }

  /** The class of a name in a file: one of the program, or one of Keras's. */
  classOf(name: string, { module, registered_name: registered }: Partial<Serialized> = {}): FamilyClass<T> | undefined {
    const custom = findCustom(registered, module?.startsWith('keras') ? undefined : name);
    return (custom as FamilyClass<T> | undefined) ?? this.registry.find(name);
  }

  private revive(name: string, saved: Partial<Serialized>): T {
    const shared = sharedObjects();
    const id = saved.shared_object_id;
    const known = id === undefined ? undefined : shared?.get(id);
    const cls = this.classOf(name, saved) ?? this.registry.get(name);
    if (known instanceof Configured && known.constructor === cls) return known as T;
    const made = this.create(cls, saved.config ?? {});
    if (id !== undefined) shared?.set(id, made);
    return made;
  }

  private create(cls: unknown, config: Config): T {
    const known = cls as FamilyClass<T>;
    return asInFiles(() => known.fromConfig?.(config) ?? new known(optionsFromConfig(config, known) as never));
  }
}

const isClass = (fn: unknown): boolean => /^class\b/.test(Function.prototype.toString.call(fn));

/** A class or factory in the place of what it makes. */
const uncalled = (fn: { readonly name: string }): string =>
  isClass(fn) ? `the class ${fn.name}: make it with new ${fn.name}(…)` : 'a function: a factory must be called';

const factories = new WeakSet<object>();

/** Tells a factory from the program's own functions, which options take as formulas, whatever their names. */
export function noteFactory<F extends object>(factory: F): F {
  factories.add(factory);
  return factory;
}

/** Whether a function that was given as a formula is a class or a factory, not called. */
export const isUncalled = (fn: object): boolean => isClass(fn) || factories.has(fn);

const article = (kind: string): string => `${/^[aeiou]/.test(kind) ? 'an' : 'a'} ${kind}`;

/** Makes a family's objects serialisable inside the options of others. */
export function convertOptions<T extends Configured>(kind: OptionKind, family: Family<T>): void {
  converters.set(kind, { serialize: (value) => (value instanceof Configured ? family.serialize(value as T) : value) });
}

/** As convertOptions, for an option that holds a list of them. */
export function convertLists<T extends Configured>(kind: OptionKind, family: Family<T>): void {
  const one = (value: unknown): unknown => (value instanceof Configured ? family.serialize(value as T) : value);
  converters.set(kind, { serialize: (value) => (Array.isArray(value) ? value.map(one) : one(value)) });
}

export function setConverter(kind: OptionKind, serialize: (value: unknown) => unknown): void {
  converters.set(kind, { serialize });
}
