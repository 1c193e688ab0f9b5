/** Writes docs/capabilities.md, which parity.test.ts compares with what this would write. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { capabilityMatrix } from './capability-matrix.ts';
import { collect } from './collected.ts';

const root = join(import.meta.dirname, '../..');
for (const collected of await collect([root]))
  writeFileSync(join(root, 'docs/capabilities.md'), capabilityMatrix(collected));
