import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { setAutotune } from '../../lib/devices.js';
import {
  algorithm,
  choose,
  device,
  fileText,
  product,
  readEntries,
  run,
  useFreshFile,
  wasWritten,
} from './cuda_choices.js';
import { canRun, libraryCalls } from './cuda_fake_libraries.js';

// Measuring, and the file that it writes, on the emulated device with a fake of cuBLASLt that has three algorithms.

let file = '';
beforeEach(() => {
  file = useFreshFile();
});
afterAll(() => setAutotune(null));

const shapes = [[64, 40], [40, 56], [56]];
const make = product({ relu: 1 }, false);
const key = 'product float32 64x56x40, strides 40,1 1,56 56, bias, relu';
const withVariable = async <T>(name: string, value: string, body: () => Promise<T>): Promise<T> => {
  process.env[name] = value;
  try {
    return await body();
  } finally {
    delete process.env[name];
  }
};

test.skipIf(!canRun)('measuring writes the fastest way and the times of all', async () => {
  await withVariable('FAKE_CUBLASLT_SLOW', '1', () => run(shapes, make, device));
  const [entry, ...others] = readEntries();
  expect(others).toEqual([]);
  expect(entry).toMatchObject({ machine: '[emulated GPU (8.0), cuBLASLt 13.1.2]', key });
  expect(entry!.way).toMatch(/^cuBLASLt-[23]:[0-9a-f]{128}$/);
  expect(entry!.times).toMatch(
    /^32x32 [\d.]+ us, 64x64 [\d.]+ us, 128x128 [\d.]+ us, cuBLASLt-1 [\d.]+ us, cuBLASLt-2 [\d.]+ us, cuBLASLt-3 [\d.]+ us$/,
  );
  const times = entry!.times.split(', ').map((text) => Number(text.split(' ')[1]));
  const fastest = Math.min(...times);
  expect(times[3]).toBeGreaterThan(20_000);
  expect(times[2 + Number(entry!.way['cuBLASLt-'.length])]).toBe(fastest);
  expect(fileText()).toMatch(/^chainrule autotune 1\n\n\[emulated/);
});

test.skipIf(!canRun)('measuring leaves out what is refused when it is called', async () => {
  const { data } = await withVariable('FAKE_CUBLASLT_REFUSED', '2', () => run(shapes, make, device));
  expect(readEntries()[0]!.times).toMatch(/us, cuBLASLt-2 refused, cuBLASLt-3 [\d.]+ us$/);
  expect(data).toEqual((await run(shapes, make, 'cpu')).data);
});

test.skipIf(!canRun)('where the file names a way that there is not, all is measured anew', async () => {
  await run(shapes, make, device);
  for (const way of [
    '96x96',
    '128x256', // not of float32
    'cuDNN',
    'cuBLASLt-1:c0ffee',
    `cuBLASLt-1:${algorithm(1, [56, 64, 41])}`, // of another shape: refused when it is checked
    `cuBLASLt-1:${algorithm(1, [56, 64, 40]).replace(/^./, 'x')}`,
  ]) {
    choose(way);
    libraryCalls();
    const { data } = await run(shapes, make, device);
    expect(data).toEqual((await run(shapes, make, 'cpu')).data);
    expect(libraryCalls().length).toBeGreaterThan(3);
    expect(readEntries()).toHaveLength(1);
    expect(readEntries()[0]!.way).not.toBe(way);
  }
});

test.skipIf(!canRun)('without a file a product is one call, of the first algorithm', async () => {
  setAutotune(null);
  const { plan } = await run(shapes, make, device);
  expect(plan).not.toContain('[');
  expect(libraryCalls()).toEqual(['f32 NN 1x[56,64,40] bias relu']);
  expect(wasWritten()).toBe(false);
});

test.skipIf(!canRun)('a file that is not one of choices is an error that names the line', async () => {
  for (const [text, line] of [
    ['{ "json": true }', 'line 1 of .*choices.txt is "{ "json": true }", not "chainrule autotune 1"'],
    ['chainrule autotune 2\n', 'line 1 of .* not "chainrule autotune 1"'],
    ['chainrule autotune 1\nkey\tway\ttimes\n', 'line 2 of .* below a machine in brackets'],
    ['chainrule autotune 1\n[machine]\nkey way\n', 'line 3 of .* is "key way", not what is computed'],
    ['chainrule autotune 1\n\n[machine\n', 'line 3 of .* not a machine in brackets'],
  ] as const) {
    writeFileSync(file, text);
    await expect(run(shapes, make, device)).rejects.toMatchObject({
      code: 'ERR_CHAINRULE_FORMAT',
      message: expect.stringMatching(new RegExp(`^autotune: ${line}`)),
    });
    expect(fileText()).toBe(text);
  }
  writeFileSync(file, ''); // as touch(1) makes it
  await run(shapes, make, device);
  expect(readEntries()).toHaveLength(1);
});

test.skipIf(!canRun)('a file that cannot be read or written is an error', async () => {
  for (const [path, text] of [
    [join(file, '..', 'nowhere', 'choices.txt'), /^autotune: cannot write .*nowhere.choices.txt: No such file/],
    [join(file, '..'), /^autotune: cannot read .*: Is a directory/],
    ['/proc/self/status/choices.txt', /^autotune: cannot read .*: Not a directory/],
  ] as const) {
    setAutotune(path);
    await expect(run(shapes, make, device)).rejects.toMatchObject({
      code: 'ERR_CHAINRULE_IO',
      message: expect.stringMatching(text),
    });
  }
  expect(() => setAutotune('')).toThrow(expect.objectContaining({ code: 'ERR_CHAINRULE_VALUE' }));
  expect(() => setAutotune(7 as never)).toThrow('setAutotune takes the path of a file or null, got "7"');
});
