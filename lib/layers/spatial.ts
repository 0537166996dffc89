import { ChainruleError, shown } from '../errors.js';
import type { DataFormat, Size } from '../ops/window.js';

// Options of layers that slide over spatial axes, checked and brought into the form that stands in files.

/** A number for every axis, or one for each: as a list. */
export function sizes(where: string, name: string, value: Size, rank: number, least = 1): readonly number[] {
  const list = typeof value === 'number' ? Array<number>(rank).fill(value) : value;
  if (Array.isArray(list) && list.length === rank) return list.map((size) => integerSize(where, name, size, least));
  const several = ['an integer', 'an integer or two of them', 'an integer or three of them'][rank - 1];
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `${where}: ${name} must be ${several}, got ${Array.isArray(value) ? JSON.stringify(value) : shown(value)}.`,
    { details: { option: name, value } },
  );
}

function integerSize(where: string, name: string, value: unknown, least: number): number {
  if (Number.isInteger(value) && (value as number) >= least) return value as number;
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `${where}: ${name} must be an integer >= ${least}, got ${shown(value)}.`,
    { details: { option: name, value } },
  );
}

/** One of a list of words; Keras's snake_case and our camelCase are the same word, kept as Keras writes it. */
export function choice<T extends string>(
  where: string,
  name: string,
  value: string | undefined,
  options: readonly T[],
): T {
  const word = typeof value !== 'string' ? value : value.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const found = options.find((option) => option === word);
  if (value === undefined) return options[0]!;
  if (found !== undefined) return found;
  throw new ChainruleError(
    'ERR_CHAINRULE_OPTION',
    `${where}: ${name} must be one of "${options.join('", "')}", got ${shown(value)}.`,
    { details: { option: name, value } },
  );
}

/** 'valid' or 'same'. */
export const paddingOption = (where: string, value: string | undefined): 'valid' | 'same' =>
  choice(where, 'padding', value, ['valid', 'same']);

export const dataFormatOption = (where: string, value: DataFormat | undefined): 'channels_last' | 'channels_first' =>
  choice(where, 'dataFormat', value, ['channels_last', 'channels_first']);

export const channelAxis = (format: 'channels_last' | 'channels_first'): number =>
  format === 'channels_last' ? -1 : 1;
