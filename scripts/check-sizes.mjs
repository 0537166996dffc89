// A file that nobody can read at a sitting, or a folder that means nothing, is a fault of the design: said early.
import { readdirSync, readFileSync } from 'node:fs';
import { listFiles } from './prepare.mjs';

const folders = ['lib', 'native', 'test', 'scripts', 'examples'];
const source = /\.(ts|mts|mjs|cpp|h|inl|def|cu|py)$/;
const limit = 500;
const smell = 300;
const crowd = 25;
// Such a name says that nobody decided where its content belongs.
const nameless = /(^|\/)(utils?|helpers?|misc|v2)(\.[^/]*)?(\/|$)/i;

export function checkSizes() {
  const errors = [];
  const reports = [];
  for (const folder of folders) {
    for (const file of listFiles(folder).filter((name) => source.test(name))) {
      const lines = readFileSync(file, 'utf8').split('\n').length - 1;
      if (lines > limit) errors.push(`${file}: ${lines} lines; the limit is ${limit}`);
      else if (lines > smell) reports.push(`${file}: ${lines} lines; ${smell} is a smell`);
      if (nameless.test(file)) errors.push(`${file}: give the file or folder a name that says what it holds`);
    }
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      const path = `${entry.parentPath ?? entry.path}/${entry.name}`;
      const count = readdirSync(path, { withFileTypes: true }).filter((child) => child.isFile()).length;
      if (count > crowd) reports.push(`${path}: ${count} files in one folder`);
    }
  }
  return { errors, reports };
}
