import { type Recipe, type Split, type Table, unpack } from './sources.js';

// Tables by the recipes' rules: numeric columns standardised by the training rows, categories one-hot over the whole file.

export interface Rows {
  cells: string[][];
  targets: number[];
}

export function readRows({ data }: Recipe, target: (cell: string) => number): Rows {
  const lines = unpack(data).toString('utf8').trim().split(/\r?\n/);
  const cells = lines.map((line) => line.split(','));
  return { cells, targets: cells.map((row) => target(row.at(-1)!)) };
}

const missing = (cell: string): boolean => cell === '?' || cell === '';

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** One column of features, computed for all rows with what the training rows know. */
function numeric(rows: string[][], column: number, isTest: (row: number) => boolean): number[][] {
  const known = rows.flatMap((row, i) => (isTest(i) || missing(row[column]!) ? [] : [Number(row[column])]));
  const fill = median(known);
  const values = rows.map((row) => (missing(row[column]!) ? fill : Number(row[column])));
  const training = values.filter((_, i) => !isTest(i));
  const mean = training.reduce((a, b) => a + b, 0) / training.length;
  const deviation = Math.sqrt(training.reduce((a, b) => a + (b - mean) ** 2, 0) / training.length);
  return values.map((value) => [(value - mean) / deviation]);
}

function categorical(rows: string[][], column: number): number[][] {
  const categories = [...new Set(rows.map((row) => row[column]!))].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return rows.map((row) => categories.map((category) => Number(category === row[column])));
}

export function splitRows(
  { cells, targets }: Rows,
  { preprocessing }: Recipe,
  isTest: (row: number) => boolean,
): Split {
  const blocks = [
    ...preprocessing.numericColumns.map((column) => numeric(cells, column, isTest)),
    ...preprocessing.categoricalColumns.map((column) => categorical(cells, column)),
  ];
  const table = (wanted: boolean): [Table, Table] => {
    const chosen = cells.flatMap((_, i) => (isTest(i) === wanted ? [i] : []));
    const features = chosen.map((i) => blocks.flatMap((block) => block[i]!));
    return [
      { data: Float32Array.from(features.flat()), shape: [chosen.length, features[0]!.length] },
      { data: Float32Array.from(chosen, (i) => targets[i]!), shape: [chosen.length] },
    ];
  };
  const [train, trainTargets] = table(false);
  const [test, testTargets] = table(true);
  return { train, trainTargets, test, testTargets };
}
