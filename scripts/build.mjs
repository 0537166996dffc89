// npm run build: packages when missing, the addon (node-gyp), dist/ (tsc and the ESM facade).
import { buildAddon, buildCodeCache, buildDist, install } from './prepare.mjs';

install();
await buildAddon();
await buildDist();
buildCodeCache();
