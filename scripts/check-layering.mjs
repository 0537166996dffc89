// Who may include whom. The two tables are the design; see CONTRIBUTING.md before changing a line of them.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { listFiles } from './prepare.mjs';

/**
 * native/: a folder may include itself and what stands here. `.def` files are data: everybody may read them. Functions over any
 * vector type (`.inl`) are the CPU's and, with a vector of one lane, those of cuda.
 */
const native = {
  base: [],
  text: ['base'],
  ir: ['base'],
  plan: ['base', 'ir'],
  cpu: ['base'],
  ops: ['base', 'ir', 'plan', 'cpu'],
  passes: ['base', 'ir', 'plan', 'cpu', 'ops'],
  runtime: ['base', 'text', 'ir', 'plan', 'cpu', 'ops', 'passes'],
  node: ['base', 'text', 'ir', 'plan', 'cpu', 'ops', 'passes', 'runtime'],
  cuda: ['base', 'ir', 'plan'],
};

/** lib/: a file or folder may import itself and every line above its own. `import type` is free. */
const library = [
  ['errors'],
  ['rules', 'names'],
  ['registry', 'registered', 'class_options'],
  ['config'],
  ['native-loader'],
  ['native'],
  ['ndarray'],
  ['nested', 'strings', 'threads', 'devices'],
  ['graph'],
  ['ops'],
  ['initializers', 'regularizers', 'constraints', 'activations', 'losses', 'schedules'],
  ['metrics'],
  ['layers', 'optimizers'],
  ['data', 'formats', 'callbacks'],
  ['models'],
  ['bench'],
  ['cli'],
  ['index', 'chainrule'], // the bundle of index
  ['entry'],
];

const isShared = (folder, name) => name.endsWith('.def') || (folder === 'cuda' && name.endsWith('.inl'));

export function checkNative(file, text) {
  const folder = file.split('/')[1];
  const problems = [];
  if (!native[folder]) return [`native/${folder} is in no layer`];
  for (const [, name] of text.matchAll(/^\s*#\s*include\s*<([^>]+)>/gm)) {
    if (/^(napi|node_api|js_native_api|uv)\.h$/.test(name) && folder !== 'node') {
      problems.push(`<${name}>: only native/node knows that Node exists`);
    }
  }
  if (/^\s*#\s*(include\s*<omp\.h>|pragma\s+omp\b)|_Pragma\("omp/m.test(text) && file !== 'native/cpu/team.cpp') {
    problems.push('OpenMP: only native/cpu/team.cpp may use it; kernels never fork');
  }
  for (const [, name] of text.matchAll(/^\s*#\s*include\s*"([^"]+)"/gm)) {
    if (name === 'build_info.h' && ['node', 'runtime', 'cuda'].includes(folder)) continue; // generated, see scripts/sources.mjs
    const target = name.split('/')[0];
    if (!name.includes('/') || !existsSync(join('native', name))) {
      problems.push(`"${name}": write the path from native/, as in "base/shape.h"`);
    } else if (target !== folder && !native[folder].includes(target) && !isShared(folder, name)) {
      problems.push(`"${name}": ${folder} may include ${[folder, ...native[folder]].join(', ')} only`);
    } else if (/^native\/runtime\/executor\./.test(file) && ['ir', 'passes'].includes(target)) {
      problems.push(`"${name}": the executor receives plans and never looks at a graph`);
    }
  }
  return problems;
}

function rank(file) {
  const name = file.split('/')[1].replace(/\.ts$/, '');
  return { name, level: library.findIndex((level) => level.includes(name)) };
}

export function checkLibrary(file, text) {
  const own = rank(file);
  if (own.level < 0) return [`lib/${own.name} is in no layer`];
  const problems = [];
  for (const specifier of importedPaths(text)) {
    if (!specifier.startsWith('.')) continue;
    const target = normalize(join(dirname(file), specifier)).replaceAll('\\', '/');
    if (!target.startsWith('lib/')) continue; // the shipped binary, package.json
    const other = rank(target.replace(/\.js$/, '.ts'));
    if (other.name !== own.name && (other.level < 0 || other.level >= own.level)) {
      problems.push(`imports ${specifier}: ${own.name} stands below ${other.name}`);
    }
  }
  return problems;
}

/** Paths that a file needs at run time: neither `import type` nor imports of nothing but types. */
function importedPaths(text) {
  const code = text.replace(/^\s*(\/\/|\*|\/\*).*$/gm, '').replace(/typeof import\([^)]*\)/g, '');
  const paths = [...code.matchAll(/\b(?:import|require)\(\s*'([^']+)'/g)].map((match) => match[1]);
  for (const [, clause, path] of code.matchAll(/^(?:import|export)\s+([^;'"]*?)\s*from\s+'([^']+)'/gm)) {
    const names = /^\{([^}]*)\}$/
      .exec(clause)?.[1]
      .split(',')
      .filter((name) => name.trim());
    if (!/^type\b/.test(clause) && !names?.every((name) => /^\s*type\s/.test(name))) paths.push(path);
  }
  for (const [, path] of code.matchAll(/^import\s+'([^']+)'/gm)) paths.push(path);
  return paths;
}

/** Messages `file: what is wrong`, none when the layers hold. */
export function checkLayering() {
  const check = (folder, pattern, rule) =>
    listFiles(folder)
      .map((file) => file.replaceAll('\\', '/'))
      .filter((file) => pattern.test(file))
      .flatMap((file) => rule(file, readFileSync(file, 'utf8')).map((problem) => `${file}: ${problem}`));
  return [...check('native', /\.(cpp|h|inl|cu|cuh)$/, checkNative), ...check('lib', /\.ts$/, checkLibrary)];
}
