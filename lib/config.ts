import { ChainruleError, checkOptions } from './errors.js';
import { camelCase, snakeCase } from './names.js';
import { Registry } from './registry.js';

/** What stands in config files: Keras's snake_case keys and plain JSON values. */
export type Config = Record<string, unknown>;

/** How Keras writes an object into JSON. */
export interface Serialized {
  module: string;
  class_name: string;
  config: Config;
  registered_name: string | null;
}

/** What an option holds: a plain value (`local`: one that does not belong into files), or an object of a family that is resolved from strings and configs. */
export type OptionKind = 'value' | 'local' | 'initializer' | 'regularizer' | 'constraint' | 'activation' | 'schedule';
export type OptionTable = Readonly<Record<string, OptionKind>>;

interface Converter {
  serialize(value: unknown): unknown;
}

const converters = new Map<OptionKind, Converter>();

/** A constructor of something configured; options objects differ from class to class. */
export type ConfiguredClass<T> = (abstract new (...args: never[]) => T) & { readonly options?: OptionTable };

/** Everything with Keras options: knows its option names, rejects others, and gives its config in Keras's form. */
export abstract class Configured {
  /** The options of this class, without those of its parents. */
  static readonly options: OptionTable = {};

  constructor(options?: object) {
    checkOptions(this.className, options, Object.keys(optionTable(this.constructor)));
  }

  get className(): string {
    return this.constructor.name;
  }

  /** The options in Keras's snake_case, as they stand in files. */
  getConfig(): Config {
    const config: Config = {};
    for (const [option, kind] of Object.entries(optionTable(this.constructor))) {
      if (kind === 'local') continue;
      const value = (this as unknown as Config)[option];
      config[snakeCase(option)] = value === undefined ? null : (converters.get(kind)?.serialize(value) ?? value);
    }
    return config;
  }
}

/** Own and inherited options, parents first. */
export function optionTable(cls: unknown): OptionTable {
  const table: Record<string, OptionKind> = {};
  const chain: OptionTable[] = [];
  for (let current = cls; typeof current === 'function'; current = Object.getPrototypeOf(current)) {
    if (Object.hasOwn(current, 'options')) chain.unshift((current as unknown as { options: OptionTable }).options);
  }
  return Object.assign(table, ...chain);
}

/** Keras's config as the options object of the constructor. */
export function optionsFromConfig(config: Config): Record<string, unknown> {
  const entries = Object.entries(config).filter(([key, value]) => key !== 'dtype' || !isFloat32(value));
  return Object.fromEntries(entries.map(([key, value]) => [camelCase(key), value ?? undefined]));
}

/** Keras writes the default dtype into every config, as a name or as a policy. */
function isFloat32(dtype: unknown): boolean {
  const name =
    typeof dtype === 'object' && dtype !== null ? (dtype as { config?: { name?: unknown } }).config?.name : dtype;
  return name === 'float32' || name === null;
}

/** A family of classes (`initializers`, `losses`, …) that strings, configs and instances resolve to. */
export class Family<T extends Configured> {
  readonly registry: Registry<new (options: never) => T>;

  constructor(
    kind: string,
    /** `keras.initializers`, for files. */
    readonly module: string,
  ) {
    this.registry = new Registry(kind);
  }

  /** Registers a class under its own name and Keras's aliases. */
  add(cls: new (options: never) => T, ...aliases: readonly string[]): this {
    this.registry.add(cls, cls.name, ...aliases);
    return this;
  }

  /** An instance as it is; a name or a config becomes one. */
  resolve(spec: string | T | Serialized | { className: string; config?: Config }): T {
    if (typeof spec === 'string') return this.create(spec, {});
    if (spec instanceof Configured) return spec as T;
    if (typeof spec === 'object' && spec !== null) {
      const name = 'class_name' in spec ? spec.class_name : 'className' in spec ? spec.className : undefined;
      if (typeof name === 'string') return this.create(name, optionsFromConfig(spec.config ?? {}));
    }
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `a ${this.registry.kind} is a name, an object of its class or a config; got ${String(spec)}.`,
    );
  }

  serialize(value: T): Serialized {
    return { module: this.module, class_name: value.className, config: value.getConfig(), registered_name: null };
  }

  private create(name: string, options: Record<string, unknown>): T {
    return new (this.registry.get(name))(options as never);
  }
}

/** Makes a family's objects serialisable inside the options of others. */
export function convertOptions<T extends Configured>(kind: OptionKind, family: Family<T>): void {
  converters.set(kind, { serialize: (value) => (value instanceof Configured ? family.serialize(value as T) : value) });
}

export function setConverter(kind: OptionKind, serialize: (value: unknown) => unknown): void {
  converters.set(kind, { serialize });
}
