/** Writes docs/capability-matrix.md; with `--check` says instead, by its exit code, whether it is what it would write. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { capabilityMatrix } from './capability-matrix.ts';
import { collect } from './collected.ts';

const root = join(import.meta.dirname, '../..');
const file = join(root, 'docs/capability-matrix.md');
const matrix = capabilityMatrix(await collect(root));
if (process.argv.includes('--check')) {
  if (readFileSync(file, 'utf8') !== matrix) {
    console.error('docs/capability-matrix.md is out of date; run `npm run docs:capabilities`');
    process.exitCode = 1;
  }
} else writeFileSync(file, matrix);
