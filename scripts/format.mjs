// npm run format: writes what npm run check would ask for.
import { spawnSync } from 'node:child_process';
import { install, listFiles, runBin } from './prepare.mjs';

install();
runBin('@biomejs/biome/bin/biome', ['check', '--write', '.']);
const cpp = ['native', 'test/native'].flatMap(listFiles).filter((file) => /\.(cpp|h|inl|cuh)$/.test(file));
const { error } = spawnSync('clang-format', ['-i', ...cpp], { stdio: 'inherit' });
if (error) console.log('C++ left as it is: clang-format is not installed (pip install clang-format==14.0.6)');
