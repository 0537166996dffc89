#!/usr/bin/env node
// prebuildify calls this in place of node-gyp. It would rebuild from nothing and then move the addon out of build/Release,
// away from whoever is using it; it gets a copy of the incremental build in the folder it was sent to instead.
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

const stage = process.cwd(); // before prepare.mjs changes to the repository
const { buildAddon } = await import('./prepare.mjs');

await buildAddon();
mkdirSync(join(stage, 'build/Release'), { recursive: true });
copyFileSync('build/Release/chainrule.node', join(stage, 'build/Release/chainrule.node'));
