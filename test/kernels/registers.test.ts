import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

// The inner loop of the matrix product as the compiler made it: fused multiply-adds whose sums never leave their
// registers. A spill costs a third of the speed and fails no other test.

const objects = join(__dirname, '../../build/Release/obj.target/chainrule/native/cpu/isa');
const hasObjdump = spawnSync('objdump', ['--version']).status === 0;

interface Instruction {
  address: number;
  text: string;
}

function disassemble(isa: string, symbol: string): Instruction[] {
  const { stdout } = spawnSync('objdump', ['-dC', '--no-show-raw-insn', join(objects, `${isa}.o`)], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const start = stdout.indexOf(`${isa}::${symbol}(`);
  const body = stdout.slice(start, stdout.indexOf('\n\n', start));
  return [...body.matchAll(/^ *([0-9a-f]+):\s+(.*?)\s*$/gm)].map((line) => ({
    address: Number.parseInt(line[1]!, 16),
    text: line[2]!,
  }));
}

/** What lies between a backward jump and its target, without the loops around others. */
function innermostLoops(code: Instruction[]): string[][] {
  const index = new Map(code.map(({ address }, i) => [address, i]));
  const spans = code.flatMap(({ text }, end) => {
    const target = /^j\w+\s+([0-9a-f]+)\b/.exec(text)?.[1];
    const begin = target === undefined ? undefined : index.get(Number.parseInt(target, 16));
    return begin !== undefined && begin <= end ? [{ begin, end }] : [];
  });
  return spans
    .filter((outer) => !spans.some((inner) => inner !== outer && inner.begin >= outer.begin && inner.end <= outer.end))
    .map(({ begin, end }) => code.slice(begin, end + 1).map(({ text }) => text));
}

const kindsOfA = ['1, 0', '0, 1', '0, 0']; // rows, columns or neither of them side by side
const tiles = kindsOfA.flatMap((kind) => [
  { isa: 'avx2', symbol: `tilesBelow<6, 2, ${kind}, 16>`, register: 'ymm', sums: 12 },
  { isa: 'avx512', symbol: `tilesBelow<12, 2, ${kind}, 16>`, register: 'zmm', sums: 24 },
]);

describe.each(tiles)('$symbol of $isa', ({ isa, symbol, register, sums }) => {
  test('keeps its sums in registers', (context) => {
    context.skip(!existsSync(join(objects, `${isa}.o`)), `${isa}.o: not built here by node-gyp`);
    context.skip(!hasObjdump, 'objdump is not installed');
    const fused = new RegExp(`^vfmadd\\w+ps\\s.*%${register}`);
    const loops = innermostLoops(disassemble(isa, symbol))
      .map((loop) => ({ loop, count: loop.filter((text) => fused.test(text)).length }))
      .filter(({ count }) => count >= 4 * sums); // four steps along k
    expect(loops.length).toBeGreaterThanOrEqual(1);
    for (const { loop, count } of loops) {
      expect(count).toBe(4 * sums);
      const stores = loop.filter((text) => /^vmov\w+\s+%[xyz]mm\d+,[^%]*\(/.test(text));
      expect(stores, 'vectors written to memory').toEqual([]);
      const spilled = loop.filter((text) => /%[xyz]mm/.test(text) && /\(%r[sb]p/.test(text));
      expect(spilled, 'vectors on the stack').toEqual([]);
    }
  });
});
