import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { synthesizeAll } from './synthesize.ts';

/** Writes the stacks of every environment at every cloud to infra/out/<site>.<stage>/<cloud>/stacks/. */
const out = join(import.meta.dirname, 'out');
rmSync(out, { recursive: true, force: true });
const { written, remarks, refused } = synthesizeAll(out);
for (const line of [...refused.map((each) => each.line), ...remarks]) console.error(line);
if (refused.some(({ isError }) => isError)) process.exitCode = 1;
console.log(`${written.length} sites at a cloud are in infra/out`);
