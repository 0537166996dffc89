// Runs before npm pack and npm publish: a package without its binary would only fail where it is installed.
import { existsSync, readdirSync } from 'node:fs';

const folder = `prebuilds/${process.platform}-${process.arch}`;
const binary = existsSync(folder) && readdirSync(folder).some((name) => name.endsWith('.node'));
if (!binary || !existsSync('dist/chainrule.js')) {
  console.error(`There is no ${binary ? 'dist/chainrule.js' : `binary in ${folder}`}. Make it first: npm run prebuild`);
  process.exit(1);
}
