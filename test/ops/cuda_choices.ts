import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setAutotune, setFloat32MatmulPrecision } from '../../lib/devices.js';
import { type NativeArray, type NativeGraph, native } from '../../lib/native.js';
import { randomFrom, seedOf, sizeOf } from './case.js';
import { libraryCalls } from './cuda_fake_libraries.js';

// A file of measured choices, and products on the emulated device that write and read it.

export const device = 'cuda:0';
let file = '';
/** A file that does not exist yet, for all that is compiled from now on. */
export function useFreshFile(): string {
  file = join(mkdtempSync(join(tmpdir(), 'chainrule-autotune-')), 'choices.txt');
  setAutotune(file);
  setFloat32MatmulPrecision('highest');
  libraryCalls();
  return file;
}
export const wasWritten = (): boolean => existsSync(file);
export const fileText = (): string => readFileSync(file, 'utf8');

export interface Entry {
  machine: string;
  key: string;
  way: string;
  times: string;
}
export function entriesOf(text: string): Entry[] {
  let machine = '';
  return text.split('\n').flatMap((line) => {
    if (line.startsWith('[')) machine = line;
    const [key, way, times] = line.split('\t');
    return times === undefined ? [] : [{ machine, key: key!, way: way!, times }];
  });
}
export const readEntries = (): Entry[] => entriesOf(fileText());
/** Names a way for all that the file knows, and tells what the file then is. */
export function choose(way: string): string {
  const text = fileText().replace(/\t.*\t/g, `\t${way}\t`);
  writeFileSync(file, text);
  return text;
}

/** Writes a file that names one way. */
export function nameWay(machine: string, key: string, way: string): void {
  writeFileSync(file, `chainrule autotune 1\n\n${machine}\n${key}\t${way}\tby hand\n`);
}

export type Shape = number[];
export const shapesOf = (text: string): Shape[] => text.split(' ').map((shape) => shape.split('x').map(Number));
export type Make = (graph: NativeGraph, ids: number[]) => number;

/** What a graph gives for small integers, which come out exactly, and the text of its plan. */
export async function run(shapes: Shape[], make: Make, on: string) {
  const random = randomFrom(seedOf(shapes.join()));
  const graph = new native.Graph();
  const ids = shapes.map((shape, i) => graph.input(`x${i}`, 'float32', shape));
  const program = graph.compileSync([make(graph, ids)], on);
  const inputs = shapes.map((shape) => ({
    data: Float32Array.from({ length: sizeOf(shape) }, () => Math.floor(random() * 9) - 4),
    shape,
  }));
  const [out] = await program.run(inputs).promise;
  return { data: out!.data as NativeArray, plan: program.describe(1) };
}

/** A product with what its attributes say behind it (gate: the third input is no bias); halves: the factors are bfloat16. */
export function product(attrs: Record<string, number>, halves: boolean): Make {
  const stored = (graph: NativeGraph, x: number) => graph.op('cast', [x], { dtype: 'bfloat16' })[0]!;
  const widened = (graph: NativeGraph, x: number) => graph.op('cast', [x], { dtype: 'float32' })[0]!;
  const { relu, rounded, gate, ...own } = attrs;
  return (graph, ids) => {
    const [a, b, bias] = halves ? ids.map((id) => widened(graph, stored(graph, id))) : ids;
    let y = graph.op('matmul', [a!, b!], { transposeA: 0, transposeB: 0, ...own })[0]!;
    if (gate) return graph.op('whenPositive', [bias!, y], {})[0]!;
    if (bias !== undefined) y = graph.op('add', [y, bias], {})[0]!;
    if (relu) y = graph.op('relu', [y], {})[0]!;
    if (!rounded || !halves) return y;
    const shape = [sizeOf([...graph.shape(y)] as number[])];
    return widened(graph, graph.op('reshape', [stored(graph, y)], { shape })[0]!);
  };
}

const little = (word: bigint): string => word.toString(16).padStart(16, '0');
/** How the fake of cuBLASLt writes its algorithms. */
export function algorithm(number: number, [n, m, k]: [number, number, number]): string {
  const workspace = k % 2 ? 0 : 1000 * number;
  return [n, m, k, workspace, '0x6368616972756c65', number, 0, 0].map((word) => little(BigInt(word))).join('');
}
