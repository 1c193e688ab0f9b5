/** Ends with an error where this package is not installed: stacks are made of what it installs. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

if (!existsSync(join(import.meta.dirname, 'node_modules/cdktf'))) {
  console.error('The bindings of the stacks are not installed: run `npm run infra`.');
  process.exit(78);
}
