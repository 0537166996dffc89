import { readFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';

// What `require` and `import` load: the bundle, with what V8 compiled of it when the package was built (compiling is two
// thirds of the start). V8 takes that only in the version it comes from, and only for a text of the same length; whoever
// changes the bundle removes the file. Bundlers follow the literal `require`.

const file = join(__dirname, 'chainrule.js');

function load(): unknown {
  const cachedData = compiled();
  // A realm of its own, as Jest makes one for each test file, has other classes than the one that scripts run in.
  if (!cachedData || new Script('Object').runInThisContext() !== Object) return require('./chainrule.js');
  const known = require.cache[file];
  if (known) return known.exports;
  const script = new Script(Module.wrap(readFileSync(file, 'latin1')), { filename: file, cachedData });
  const bundle = new Module(file, module);
  bundle.filename = file;
  require.cache[file] = bundle; // whoever asks for the file itself gets the same classes
  try {
    script.runInThisContext().call(bundle.exports, bundle.exports, createRequire(file), bundle, file, dirname(file));
  } catch (error) {
    delete require.cache[file];
    throw error;
  }
  bundle.loaded = true;
  return bundle.exports;
}

function compiled(): Buffer | undefined {
  try {
    return readFileSync(join(__dirname, `chainrule.v8-${process.versions.v8}`));
  } catch {
    return undefined; // made by another version of Node
  }
}

export = load();
