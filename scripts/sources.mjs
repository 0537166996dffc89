// The one list of C++ sources. Both build systems call this script, so nobody registers a file by hand and the two
// builds cannot drift apart. `--header FILE` also writes the header that compiles the list's hash into the addon.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

const listNative = () =>
  readdirSync(join(root, 'native'), { recursive: true })
    .map((file) => `native/${file.replaceAll('\\', '/')}`)
    .sort();

/** Paths of all C++ sources of the addon, relative to the repository, sorted. native/cuda is a library of its own. */
export function listSources() {
  return listNative().filter((file) => file.endsWith('.cpp') && !file.startsWith('native/cuda/'));
}

/** Likewise of the library of CUDA devices. */
export function listCudaSources() {
  return listNative().filter((file) => file.endsWith('.cpp') && file.startsWith('native/cuda/'));
}

/** Names the list, not the contents: equal hashes mean that both build systems compile the same files. */
export function hashSources(sources = listSources()) {
  return createHash('sha256').update(sources.join('\n')).digest('hex').slice(0, 16);
}

/** Names the contents of what the addon and a device library exchange: they work together only if they agree. */
export function hashInterface() {
  const hash = createHash('sha256');
  const headers = listNative().filter((file) => /^native\/(base|ir|plan)\/.*\.h$|\.def$/.test(file));
  for (const file of headers) hash.update(readFileSync(join(root, file)));
  return hash.digest('hex').slice(0, 16);
}

function writeHeader(file) {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const text = `#pragma once
#define CHAINRULE_VERSION "${version}"
#define CHAINRULE_SOURCES "${hashSources()}"
#define CHAINRULE_INTERFACE "${hashInterface()}"
`;
  // An untouched header keeps its time stamp, so an unchanged list recompiles nothing.
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf('--header');
  if (at > 0) writeHeader(process.argv[at + 1]);
  const list = process.argv.includes('--cuda') ? listCudaSources() : listSources();
  console.log(process.argv.includes('--hash') ? hashSources() : list.join('\n'));
}
