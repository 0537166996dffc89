// Writes dist/index.mjs and dist/index.d.mts: `import` gets the very objects that `require` gets, so that there is one class
// identity and one engine in a process, however the package is loaded.
import { readFileSync, writeFileSync } from 'node:fs';

/** The names that tsc exports from dist/index.js, read from its text: loading it would load the addon. */
function exportedNames(code) {
  const names = new Set();
  for (const [, name] of code.matchAll(/Object\.defineProperty\(exports, "([^"]+)", \{ enumerable/g)) names.add(name);
  for (const [, name] of code.matchAll(/^exports\.([A-Za-z_$][\w$]*) = /gm)) names.add(name);
  names.delete('__esModule');
  if (/__exportStar\(/.test(code))
    throw new Error('lib/index.ts: name every export (no `export *`), the ESM facade needs the list');
  return [...names].sort();
}

export function writeFacade() {
  const names = exportedNames(readFileSync('dist/index.js', 'utf8'));
  const lines = names.map((name) => `export const ${name} = chainrule.${name};`);
  writeFileSync('dist/index.mjs', `import chainrule from './entry.js';\n\n${lines.join('\n')}\n`);
  writeFileSync('dist/index.d.mts', `export * from './index.js';\n`);
}
