// Writes dist/chainrule.js, what `require` and `import` load: one file, because reading some 300 small ones takes Node ten
// times as long as the rest of the start. dist/ has them too, for the command line and the benchmark.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rolldown } from 'rolldown';

export async function writeBundle() {
  const bundle = await rolldown({
    input: 'lib/index.ts',
    platform: 'node',
    external: [/^node:/, /\.node$/, 'yauzl', 'yazl', 'detect-libc'],
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
  });
  // Names of classes are names in files and messages. The file lies where lib's files do: paths from __dirname hold.
  await bundle.write({
    file: 'dist/chainrule.js',
    format: 'cjs',
    exports: 'named',
    keepNames: true,
    codeSplitting: false,
  });
  await bundle.close();
  // In ASCII, which Node reads four times as fast as UTF-8 and keeps in half the memory.
  const escaped = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  const text = readFileSync('dist/chainrule.js', 'utf8').replace(/[^\0-\x7f]/g, escaped);
  writeFileSync('dist/chainrule.js', text);
  // Compiled ahead from another text: V8 would only compare lengths.
  for (const name of readdirSync('dist')) if (name.startsWith('chainrule.v8-')) rmSync(`dist/${name}`);
}
