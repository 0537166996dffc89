import { ChainruleError, shown } from './errors.js';
import { checkRules, text } from './rules.js';

/** A class with Keras's protocol: a constructor of options, perhaps `fromConfig`; or a function that an option takes. */
// biome-ignore lint/suspicious/noExplicitAny: options and arguments differ from one to the next
export type RegisteredClass = (abstract new (options?: any) => object) | ((...args: any[]) => unknown);
/** Classes and functions of the program, by name, that a file may mean. */
export type CustomObjects = Readonly<Record<string, unknown>>;

const classes = new Map<string, RegisteredClass>();
const names = new Map<unknown, string>();

export interface RegisterOptions {
  /** Goes before the name in files: `package>Name`. Default 'Custom'. */
  package?: string;
  /** Default: the name of the class. */
  name?: string;
}

/**
 * Lets files name a class of the program: a layer, model, initializer, loss, metric or optimizer. Files can only ever
 * name what is built in and what was registered
 * (https://keras.io/api/models/model_saving_apis/serialization_utils/).
 */
export function registerClass<C extends RegisteredClass>(cls: C, options: RegisterOptions = {}): C {
  if (typeof cls !== 'function')
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `registerClass: a class or function is expected, got ${shown(cls)}.`,
    );
  checkRules('registerClass', options, { package: text, name: text });
  const name = `${options.package ?? 'Custom'}>${options.name ?? cls.name}`;
  const known = classes.get(name);
  if (known && known !== cls) {
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `registerClass: another class is registered as "${name}"; give this one another package or name.`,
    );
  }
  classes.set(name, cls);
  names.set(cls, name);
  return cls;
}

/** The name of a registered class in files. */
export function registeredName(cls: unknown): string | undefined {
  return names.get(cls);
}

/** What is true while one file is being loaded. */
export interface LoadScope {
  custom: CustomObjects;
  /** Objects by their id in the file, where several places mean the same one. */
  shared: Map<number, unknown>;
}

let scope: LoadScope | undefined;

/** Runs a part of loading a file. */
export function inLoadScope<T>(entered: LoadScope, fn: () => T): T {
  const outer = scope;
  scope = entered;
  try {
    return fn();
  } finally {
    scope = outer;
  }
}

/** The class or function of the program that a file means by one of these names. */
export function findCustom(...candidates: readonly (string | null | undefined)[]): unknown {
  for (const name of candidates) {
    if (typeof name !== 'string') continue;
    if (scope && Object.hasOwn(scope.custom, name)) return scope.custom[name];
    const found = classes.get(name);
    if (found) return found;
  }
  return undefined;
}

/** The object of an id of the file that is being loaded, and where a new one is kept. */
export function sharedObjects(): Map<number, unknown> | undefined {
  return scope?.shared;
}

/** While set, objects that are serialised twice get an id, so that they are one again after loading. */
let seen: Map<object, Noted> | undefined;

interface Noted {
  config?: unknown;
  shared_object_id?: number;
}

export function inSaveScope<T>(fn: () => T): T {
  const outer = seen;
  seen = new Map();
  try {
    return fn();
  } finally {
    seen = outer;
  }
}

/** What the description that is being made says of an object itself. */
export const noted = (object: object): Noted | undefined => seen?.get(object);

/** Notes the config of an object; the second one of the same object gives both an id. */
export function noteShared(object: object, config: Noted): void {
  const first = seen?.get(object);
  if (!seen) return;
  if (!first) {
    seen.set(object, config);
    return;
  }
  first.shared_object_id ??= [...seen.values()].indexOf(first) + 1;
  config.shared_object_id = first.shared_object_id;
}
