import { count, type Point } from './point.js';

// Rows are chosen so that all points of a family are about equal work.

const FLOP = 4e7;
const NUMBERS = 4e5;

/** A point with as many rows as make the usual amount of work. */
export function point(one: Omit<Point, 'rows' | 'flop'> & { flopPerRow?: number; rows?: number }): Point {
  const { flopPerRow = 0, ...rest } = one;
  const byWork = Math.min(FLOP / Math.max(1, flopPerRow), NUMBERS / (count(one.input) + one.output));
  const rows = one.rows ?? Math.max(1, Math.min(65536, Math.round(byWork)));
  return { ...rest, rows, flop: flopPerRow * rows };
}

export const widths = [
  1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 100, 127, 128, 129, 192, 255, 256, 257, 512, 1000,
  1023, 1024, 1025,
];
export const channels = [1, 3, 4, 8, 16, 17, 24, 32, 48, 64, 65, 96];
