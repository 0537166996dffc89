export interface TableSpec {
  header: readonly string[];
  rows: readonly (readonly string[])[];
  alignment: readonly ('left' | 'right')[];
  /** Characters inside each cell, padding included. */
  widths: readonly number[];
  ascii?: boolean;
}

const lines = {
  box: { top: '┏━┳┓', head: '┃', under: '┡━╇┩', body: '│', between: '├─┼┤', bottom: '└─┴┘' },
  ascii: { top: '+-++', head: '|', under: '+=++', body: '|', between: '+-++', bottom: '+-++' },
};

/** A table drawn as Keras (rich) draws it; long cells wrap. */
export function table({ header, rows, alignment, widths, ascii = false }: TableSpec): string {
  const style = ascii ? lines.ascii : lines.box;
  const rule = ([left, fill, cross, right]: string): string =>
    left + widths.map((width) => fill!.repeat(width)).join(cross) + right;
  const draw = (cells: readonly string[], bar: string): string[] => {
    const wrapped = widths.map((width, i) => wrap(cells[i] ?? '', width - 2));
    const height = Math.max(...wrapped.map((cell) => cell.length));
    return Array.from({ length: height }, (_, row) => {
      const texts = wrapped.map((cell, i) => {
        const text = cell[row] ?? '';
        const room = widths[i]! - 2;
        return ` ${alignment[i] === 'right' ? text.padStart(room) : text.padEnd(room)} `;
      });
      return bar + texts.join(bar) + bar;
    });
  };
  const body = rows.flatMap((cells, i) => [...(i > 0 ? [rule(style.between)] : []), ...draw(cells, style.body)]);
  return [rule(style.top), ...draw(header, style.head), rule(style.under), ...body, rule(style.bottom)].join('\n');
}

/** Breaks at spaces, and inside words only where they are longer than a line. */
function wrap(text: string, width: number): string[] {
  const result: string[] = [];
  let line = '';
  for (let word of text.split(' ')) {
    if (line && line.length + 1 + word.length > width) {
      result.push(line);
      line = '';
    }
    while (word.length > width) {
      result.push(word.slice(0, width));
      word = word.slice(width);
    }
    line = line ? `${line} ${word}` : word;
  }
  return [...result, line];
}
