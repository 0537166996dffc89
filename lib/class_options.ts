import type { ConfiguredClass, OptionKind, OptionTable } from './config.js';
import { ChainruleError, checkOptions, itKnows, shown } from './errors.js';
import { camelCase, snakeClass } from './names.js';
import { checkValues, exampleCall, isList, type Rules } from './rules.js';

export const kindOf = (entry: OptionTable[string] | undefined): OptionKind =>
  typeof entry === 'string' ? entry : (entry?.kind ?? 'value');

/** What the constructors of a class take. */
interface ClassOptions {
  /** Own and inherited options, parents first. */
  readonly table: OptionTable;
  readonly names: readonly string[];
  /** Own rules before those of the parents: in calls, what is its own comes first. */
  readonly rules: Rules;
}

/** By class: a constructor would else walk up to its oldest parent every time. */
const known = new WeakMap<object, ClassOptions>();

function classOptions(cls: object): ClassOptions {
  const found = known.get(cls);
  if (found) return found;
  const table = inherited(cls, 'options') as OptionTable;
  const ownFirst: OptionTable = Object.assign({}, ...chain(cls, 'options').reverse());
  const rules = Object.fromEntries(
    Object.keys(ownFirst).flatMap((name) => (typeof table[name] === 'string' ? [] : [[name, table[name]!]])),
  );
  const made = { table, names: Object.keys(table), rules };
  known.set(cls, made);
  return made;
}

/** Own and inherited options, parents first. */
export const optionTable = (cls: unknown): OptionTable => (typeof cls === 'function' ? classOptions(cls).table : {});

/** Own and inherited keys with only one value that is understood. */
export const neutralTable = (cls: unknown): Record<string, unknown> => inherited(cls, 'neutral');

const inherited = (cls: unknown, property: 'options' | 'neutral'): Record<string, unknown> =>
  Object.assign({}, ...chain(cls, property));

/** What a class and its parents say, parents first. */
function chain(cls: unknown, property: 'options' | 'neutral'): object[] {
  const said: object[] = [];
  for (let current = cls; typeof current === 'function'; current = Object.getPrototypeOf(current))
    if (Object.hasOwn(current, property)) said.unshift((current as unknown as Record<string, object>)[property]!);
  return said;
}

/**
 * Refuses what is no object of options, unknown names, wrong values, and that a required one is missing. Constructors
 * that look at the options before they call their parent's begin with `checked`.
 */
export function checkClassOptions(cls: ConfiguredClass<unknown>, options: unknown): void {
  const { names, rules } = classOptions(cls);
  const isObject = typeof options === 'object' && options !== null && !Array.isArray(options);
  if (!isObject && options !== undefined) {
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `${cls.name}: options come as one object, got ${shown(options)}. Write ${exampleCall(factoryOf(cls), options, rules)}.${itKnows(names)}`,
      { details: { where: cls.name, known: names }, above: checkClassOptions },
    );
  }
  checkOptions(cls.name, options, names);
  checkValues(cls.name, options, rules, factoryOf(cls));
}

/** As checkClassOptions, and gives the options back: `super({ ...checked(new.target, options), … })`. */
export function checked<O>(cls: ConfiguredClass<unknown>, options: O): O {
  checkClassOptions(cls, options);
  return given(cls, options);
}

/** What every factory does: `new`, with the options that are given. */
export function make<O, T>(cls: new (options: O) => T, options: O): T {
  return new cls(given(cls, options));
}

const isTyped = (value: unknown): boolean => isList(value) && !Array.isArray(value);

/** Options without those that are null, which is not given unless null means something; typed arrays become lists. */
function given<O>(cls: object, options: O): O {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return options;
  const { table } = classOptions(cls);
  const isAbsent = ([name, value]: [string, unknown]): boolean =>
    value === null && Object.hasOwn(table, name) && !meansNull(table[name]!);
  const entries = Object.entries(options);
  if (!entries.some((entry) => isAbsent(entry) || isTyped(entry[1]))) return options;
  const kept = entries.filter((entry) => !isAbsent(entry));
  return Object.fromEntries(
    kept.map(([name, value]) => [name, isTyped(value) ? Array.from(value as readonly unknown[]) : value]),
  ) as O;
}

/** Whether null is a value of an option. No activation is one: what recurrent layers have without the option is tanh. */
const meansNull = (entry: OptionTable[string]): boolean => ['nullable', 'activation'].includes(kindOf(entry));

const modules = new WeakMap<object, string>();

/** The module of a class's family: its last part is the name of the namespace of factories. */
export function noteFamily(cls: object, module: string): void {
  modules.set(cls, module);
}

/** How a program makes one: by the factory that is named after the class, or with new. */
function factoryOf(cls: ConfiguredClass<unknown> & { readonly factory?: string }): string {
  const module = modules.get(cls);
  if (module === undefined) return `new ${cls.name}`;
  return cls.factory ?? `${module.split('.').at(-1)}.${camelCase(snakeClass(cls.name))}`;
}
