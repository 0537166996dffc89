import { ChainruleError, checkOptions, shown } from './errors.js';

/** What the value of an option must be. */
export interface Rule {
  /** As it stands in messages behind "must be". */
  readonly expected: string;
  allows(value: unknown): boolean;
  /** What it allows in files, where that is more: a file of Keras opens though no program should write what it holds. */
  inFiles?(value: unknown): boolean;
  /** Of an option that must be given: a value that shows how, as source text. */
  readonly example?: string;
}

export type Rules = Readonly<Record<string, Rule>>;

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

/** Python computes with True and False, too, and asks few numbers for their bounds. */
const ofNumbers = (expected: string, fits: (value: number) => boolean): Rule => ({
  expected,
  allows: (value) => isNumber(value) && fits(value),
  inFiles: (value) => isNumber(value) || typeof value === 'boolean',
});

export const number: Rule = ofNumbers('a number', () => true);

export const atLeast = (least: number): Rule => ofNumbers(`a number >= ${least}`, (value) => value >= least);

export const above = (bound: number): Rule => ofNumbers(`a number > ${bound}`, (value) => value > bound);

export const between = (least: number, most: number): Rule =>
  ofNumbers(`a number from ${least} to ${most}`, (value) => value >= least && value <= most);

/** From `least` on, but below `bound`. */
export const below = (least: number, bound: number): Rule =>
  ofNumbers(`a number from ${least} to below ${bound}`, (value) => value >= least && value < bound);

const infinities = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** Infinity, too, in the direction in which the rule is open. */
export const orInfinite = (rule: Rule): Rule => ({
  ...rule,
  allows: (value) =>
    rule.allows(value) || (infinities.includes(value as number) && rule.allows(Math.sign(value as number) * 2 ** 53)),
});

export const integer = (least?: number): Rule => ({
  expected: least === undefined ? 'an integer' : `an integer >= ${least}`,
  allows: (value) => Number.isInteger(value) && (value as number) >= (least ?? Number.NEGATIVE_INFINITY),
});

/** Python writes 0 and 1 for it, too. */
export const flag: Rule = {
  expected: 'true or false',
  allows: (value) => typeof value === 'boolean' || value === 0 || value === 1,
};

export const text: Rule = { expected: 'a string', allows: (value) => typeof value === 'string' };

export const fn = (signature: string): Rule => ({
  expected: `a function ${signature}`,
  allows: (value) => typeof value === 'function',
});

/** Whatever the constructor itself understands, or refuses with words of its own. */
export const anything: Rule = { expected: 'given', allows: () => true };

/** A list or a typed array. */
export const isList = (value: unknown): value is readonly unknown[] =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));

/** A list, every element of which follows the rule; a typed array is one. */
export const listOf = (rule: Rule): Rule => ({
  expected: `a list, each ${rule.expected}`,
  allows: (value) => isList(value) && value.every((item) => rule.allows(item)),
  inFiles: (value) => isList(value) && value.every((item) => allowed(rule, item)),
});

export const orList = (rule: Rule): Rule => {
  const list = listOf(rule);
  return {
    expected: `${rule.expected}, or a list of such`,
    allows: (value) => rule.allows(value) || list.allows(value),
    inFiles: (value) => allowed(rule, value) || allowed(list, value),
  };
};

/** One value, or rows of rows of such. */
export const nested = (rule: Rule): Rule => {
  const either =
    (fits: (value: unknown) => boolean) =>
    (value: unknown): boolean =>
      fits(value) || (isList(value) && value.every(either(fits)));
  return {
    expected: `${rule.expected}, or a list of such`,
    allows: either((value) => rule.allows(value)),
    inFiles: either((value) => allowed(rule, value)),
  };
};

export const either = (word: string, rule: Rule): Rule => ({
  expected: `'${word}' or ${rule.expected}`,
  allows: (value) => value === word || rule.allows(value),
  inFiles: (value) => value === word || allowed(rule, value),
});

export const oneOf = (...words: readonly string[]): Rule => ({
  expected: `one of '${words.join("', '")}'`,
  allows: (value) => words.includes(value as string),
});

/** How much is written to stderr, in Keras's numbers. */
export const verbosity: Rule = {
  expected: "0, 1, 2 or 'auto'",
  allows: (value) => [0, 1, 2, 'auto', true, false].includes(value as number),
};

/** Stops what takes long. */
export const signal: Rule = {
  expected: 'an AbortSignal (controller.signal)',
  allows: (value) => typeof (value as AbortSignal).throwIfAborted === 'function',
};

/** Sizes of the axes of a row; null stands for any length. */
export const shape: Rule = {
  expected: 'the sizes of one row without the batch, like [28, 28, 1] (null: any length)',
  allows: (value) =>
    Array.isArray(value) && value.every((dim) => dim === null || (Number.isInteger(dim) && (dim as number) > 0)),
};

/** An option that must be given; `example`, source text, shows how. */
export const required = (rule: Rule, example: string): Rule => ({ ...rule, example });

let inFile = false;

/** Runs what makes objects of a file's configs. */
export function asInFiles<T>(fn: () => T): T {
  const outer = inFile;
  inFile = true;
  try {
    return fn();
  } finally {
    inFile = outer;
  }
}

const allowed = (rule: Rule, value: unknown): boolean =>
  inFile && rule.inFiles ? rule.inFiles(value) : rule.allows(value);

/** Refuses what is no object of options, names that are not known, wrong values, and that a required one is missing. */
export function checkRules(where: string, options: object | undefined, rules: Rules): void {
  checkOptions(where, options, Object.keys(rules));
  checkValues(where, options, rules);
}

/** Options without those that are null: they are not given. */
export function withoutNulls<O extends object | undefined>(options: O): O {
  const entries = typeof options === 'object' && options && !Array.isArray(options) ? Object.entries(options) : [];
  return entries.some(([, value]) => value === null)
    ? (Object.fromEntries(entries.filter(([, value]) => value !== null)) as O)
    : options;
}

/** Refuses wrong values. An option that is undefined or null is not given. `call` shows how the right call begins. */
export function checkValues(where: string, options: object | undefined, rules: Rules, call = where): void {
  for (const name in rules) {
    const rule = rules[name]!;
    const value = (options as Record<string, unknown> | undefined)?.[name];
    if (value === undefined || value === null) {
      if (rule.example === undefined) continue;
      const must = rule.expected === anything.expected ? '' : `; it must be ${rule.expected}`;
      throw new ChainruleError(
        'ERR_CHAINRULE_OPTION',
        `${where}: ${name} is missing${must}. Write ${exampleCall(call, options, rules)}.`,
        { details: { where, option: name }, above: checkValues },
      );
    }
    if (allowed(rule, value)) continue;
    throw new ChainruleError(
      'ERR_CHAINRULE_OPTION',
      `${where}: ${name} must be ${rule.expected}, got ${shown(value)}.`,
      { details: { where, option: name, value }, above: checkValues },
    );
  }
}

/** The right call as source text: with what was given, as far as that is short and right, and examples for the rest. */
export function exampleCall(call: string, given: unknown, rules: Rules): string {
  const options = typeof given === 'object' && given !== null && !Array.isArray(given) ? given : undefined;
  // One value that is no object of options was meant for the first that must be given.
  let meant = options === undefined ? given : undefined;
  const entries = Object.entries(rules)
    .filter(([, rule]) => rule.example !== undefined)
    .map(([name, rule]) => {
      const value = options ? (options as Record<string, unknown>)[name] : meant;
      meant = undefined;
      return `${name}: ${sourceOf(value, rule) ?? rule.example}`;
    });
  if (Object.keys(rules).length === 0) return `${call}()`;
  return entries.length === 0 ? `${call}({ name: value, … })` : `${call}({ ${entries.join(', ')} })`;
}

function sourceOf(value: unknown, rule: Rule): string | undefined {
  if (value === undefined || value === null || !rule.allows(value)) return undefined;
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string' && /^[\w-]{1,24}$/.test(value)) return `'${value}'`;
  const short = Array.isArray(value) && value.length > 0 && value.length < 6 && value.every((item) => isNumber(item));
  return short ? `[${value.join(', ')}]` : undefined;
}
