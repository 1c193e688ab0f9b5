/** Renews what the stacks of each environment are at each cloud: `npm run snapshots`, and the difference is what a review reads. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { snapshots } from './snapshot.ts';

const kept = join(import.meta.dirname, 'kept');
rmSync(kept, { recursive: true, force: true });
mkdirSync(kept);
const all = snapshots();
for (const [name, text] of all) writeFileSync(join(kept, `${name}.txt`), text);
console.log(`${all.size} snapshots are in infra/snapshots/kept`);
