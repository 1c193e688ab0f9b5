import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe } from '@jest/globals';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Where the public data sets are: they are evaluation data, and no part of this repository. */
export const DATASETS = process.env['TRIBO_DATASETS'] ?? join(root, '..', 'shared', 'datasets');

/** A suite over real recordings; where they are absent it is reported as skipped, under a name that says why. */
export function describeWithDatasets(name: string, suite: () => void): void {
  if (existsSync(DATASETS)) describe(name, suite);
  else describe.skip(`${name} (not run: there are no data sets; set TRIBO_DATASETS to their folder)`, suite);
}
