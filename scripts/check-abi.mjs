// The oldest Linux that the shipped addon runs on is decided by the symbol versions it needs. They grow silently with the
// compiler and with careless includes; here they are held.
import { execFileSync } from 'node:child_process';

const ceilings = {
  // The libgomp that we ship is Debian 12's and needs glibc 2.34; the C++ library is linked into the addon, because the systems
  // with that glibc (RHEL 9, Amazon Linux 2023) have an older one than the compiler's.
  addon: { GLIBC: '2.34', GLIBCXX: '0', CXXABI: '0' },
  libgomp: { GLIBC: '2.34' },
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
