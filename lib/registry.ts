import { ChainruleError, didYouMean } from './errors.js';

/** A closed table of names: a string or a file can only ever name what stands here (and what the program registers). */
export class Registry<T> {
  private readonly entries = new Map<string, { name: string; value: T }>();

  constructor(readonly kind: string) {}

  /** Registers a value under its name and aliases; names match in any case, with or without underscores. */
  add(value: T, ...names: readonly string[]): this {
    for (const name of names) this.entries.set(normalise(name), { name, value });
    return this;
  }

  find(name: string): T | undefined {
    return this.entries.get(normalise(name))?.value;
  }

  /** As find, but an unknown name is an error that suggests the nearest. */
  get(name: string): T {
    const found = this.find(name);
    if (found !== undefined) return found;
    const names = this.names();
    const help = didYouMean(name, names) || `. It is one of: ${names.join(', ')}.`;
    throw new ChainruleError('ERR_CHAINRULE_UNKNOWN_CLASS', `unknown ${this.kind} "${name}"${help}`, {
      details: { kind: this.kind, name },
    });
  }

  nameOf(value: T): string | undefined {
    for (const entry of this.entries.values()) if (entry.value === value) return entry.name;
    return undefined;
  }

  /** The names as classes have them. */
  classNames(): string[] {
    return [...this.entries.values()].map(({ name }) => name);
  }

  /** The names as users type them, in camelCase. */
  names(): string[] {
    return [...this.entries.values()].map(({ name }) => camel(name));
  }
}

/** `KLDivergence` → `klDivergence`, `AUC` → `auc`, `Dense` → `dense`. */
function camel(name: string): string {
  return name.replace(/^[A-Z]+(?![a-z])|^[A-Z]/, (capitals) => capitals.toLowerCase());
}

function normalise(name: string): string {
  return name.replace(/[_\s]/g, '').toLowerCase();
}
