// The oldest Linux that the shipped addon runs on is decided by the symbol versions it needs. They grow silently with the
// compiler and with careless includes; here they are held.
import { execFileSync } from 'node:child_process';

const ceilings = {
  addon: { GLIBC: '2.28', GLIBCXX: '3.4.25', CXXABI: '1.3.11' }, // what official Node binaries need themselves
  libgomp: { GLIBC: '2.34' }, // Debian 12's library: the floor of what we ship today
};

function needed(file) {
  const newest = {};
  const text = execFileSync('objdump', ['-T', file], { encoding: 'utf8', maxBuffer: 1 << 26 });
  for (const line of text.split('\n')) {
    const [, name, version] = /\*UND\*.*?\b(GLIBC|GLIBCXX|CXXABI)_([\d.]+)/.exec(line) ?? [];
    if (name && (!newest[name] || isNewer(version, newest[name]))) newest[name] = version;
  }
  return newest;
}

function isNewer(a, b) {
  return a.localeCompare(b, 'en', { numeric: true }) > 0;
}

/** Throws when a shipped file needs a newer C or C++ library than promised. */
export function checkAbi(addon, libgomp) {
  for (const [file, ceiling] of [
    [addon, ceilings.addon],
    [libgomp, ceilings.libgomp],
  ]) {
    const versions = needed(file);
    console.log(
      `${file} needs ${Object.entries(versions)
        .map((pair) => pair.join('_'))
        .join(', ')}`,
    );
    for (const [name, version] of Object.entries(versions)) {
      if (ceiling[name] && isNewer(version, ceiling[name])) {
        throw new Error(
          `${file} needs ${name}_${version}; we promise ${name}_${ceiling[name]} at most (see: objdump -T)`,
        );
      }
    }
  }
}
