import type { Images } from './digits.js';
import { SIZE } from './digits.js';

const SHADES = ' .:-=+*#%@';

/** An image as rows of characters, two pixel rows to a line because characters are tall. */
export function imageLines(images: Images, index: number): string[] {
  const lines: string[] = [];
  for (let row = 0; row < SIZE; row += 2) {
    let line = '';
    for (let column = 0; column < SIZE; column++) {
      const at = index * SIZE * SIZE + row * SIZE + column;
      const ink = ((images.pixels[at] ?? 0) + (images.pixels[at + SIZE] ?? 0)) / 2;
      line += SHADES[Math.min(SHADES.length - 1, Math.floor(ink * SHADES.length))];
    }
    lines.push(line);
  }
  return lines;
}

/** Images next to each other under their captions. */
export function imagesSideBySide(images: Images, items: { index: number; caption: string }[]): string {
  const columns = items.map(({ index, caption }) => [caption.padEnd(SIZE), ...imageLines(images, index)]);
  const height = SIZE / 2 + 1;
  return Array.from({ length: height }, (_, line) => columns.map((column) => column[line]).join('  ')).join('\n');
}

/** Rows: the true class, columns: the predicted one. */
export function confusionTable(truth: Int32Array, predicted: number[]): string {
  const counts = Array.from({ length: 10 }, () => new Array<number>(10).fill(0));
  truth.forEach((label, i) => {
    const row = counts[label] as number[];
    row[predicted[i] as number] = (row[predicted[i] as number] ?? 0) + 1;
  });
  const line = (head: string, cells: (number | string)[]) =>
    head.padStart(6) + cells.map((cell) => String(cell || '.').padStart(5)).join('');
  const header = line(
    '',
    Array.from({ length: 10 }, (_, i) => String(i)),
  );
  return [`true \\ predicted\n${header}`, ...counts.map((row, i) => line(String(i), row))].join('\n');
}
