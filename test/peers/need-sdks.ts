/** Ends with an error where the SDKs of the clouds are not installed: types and tests of their adapters need them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

if (!existsSync(join(import.meta.dirname, '../../node_modules/@tribo'))) {
  console.error('The SDKs of the clouds are not installed: run `npm run sdks`.');
  process.exit(78);
}
