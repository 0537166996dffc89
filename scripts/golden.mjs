// npm run golden -- DIR: the cases that real Keras 3 wrote. Names each failure with its largest error and each skip with
// its reason; the last line counts. Also imported by test/golden.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compare, Skip } from './golden/compare.mjs';
import { families } from './golden/families.mjs';
import { models } from './golden/models.mjs';
import { statistics } from './golden/statistics.mjs';

const require = createRequire(import.meta.url);

/** Runs one case; resolves to undefined, a reason to skip (Skip) or an error. */
export async function runCase(directory, entry) {
  // Not the bundle: the classes must be those of the inner files beside it.
  const chainrule = require('../dist/index.js');
  const { readSafetensors } = require('../dist/formats/safetensors.js');
  const spec = JSON.parse(readFileSync(join(directory, entry.area, `${entry.name}.json`), 'utf8'));
  try {
    if (spec.kind === 'statistics' && spec.function?.family === 'initializer')
      return await statistics({ chainrule, spec });
    const run = spec.kind === 'function' ? families[spec.function.family] : models[spec.kind];
    if (!run) throw new Skip(`${spec.function?.family ?? spec.kind} is not runnable yet`);
    const { tensors } = readSafetensors(readFileSync(join(directory, entry.area, spec.data)));
    const found = await run({ chainrule, spec, tensors, directory });
    const { results, skip } = spec.kind === 'function' ? found : { results: found };
    for (const [name, array] of Object.entries(results)) compare(name, array, tensors.get(name), spec);
    return skip;
  } catch (error) {
    if (['ERR_CHAINRULE_UNKNOWN_CLASS', 'ERR_CHAINRULE_UNSUPPORTED'].includes(error.code))
      return new Skip(error.message);
    return error;
  }
}

export function listCases(directory) {
  return JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8')).cases;
}

async function main() {
  const directory = resolve(process.argv[2] ?? '../shared/golden');
  if (!existsSync(join(directory, 'index.json'))) {
    console.error(`golden: ${directory} holds no index.json; pass the folder of the cases: npm run golden -- DIR`);
    process.exit(2);
  }
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const entry of listCases(directory)) {
    const result = await runCase(directory, entry);
    const name = `${entry.area}/${entry.name}`;
    if (result === undefined) counts.passed++;
    else if (result instanceof Skip) {
      counts.skipped++;
      console.log(`skip ${name}: ${result.message}`);
    } else {
      counts.failed++;
      console.log(`FAIL ${name}: ${result.message}`);
    }
  }
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  process.exit(counts.failed ? 1 : 0);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
