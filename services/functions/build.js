// Bundles each function with all that it imports into dist/<function>.zip, byte for byte the same from the same sources. Plain JavaScript, as the page's build.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { build } from 'vite';

const here = import.meta.dirname;
const dist = join(here, 'dist');
/** A zip has times, of which none is of its contents; this is the first that it knows. */
const NO_TIME = new Date(1980, 0, 1);

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
for (const name of readdirSync(here)) {
  const entry = join(here, name, 'main.ts');
  if (!existsSync(entry)) continue;
  const outDir = join(dist, name);
  await build({
    configFile: false,
    root: join(here, '../..'),
    logLevel: 'warn',
    ssr: { noExternal: true },
    build: {
      ssr: entry,
      outDir,
      // What Lambda runs it with.
      target: 'node22',
      rolldownOptions: { output: { entryFileNames: 'index.mjs', codeSplitting: false } },
    },
  });
  const code = readFileSync(join(outDir, 'index.mjs'));
  const zip = zipSync({ 'index.mjs': code }, { level: 9, mtime: NO_TIME });
  writeFileSync(join(dist, `${name}.zip`), zip);
  const digest = createHash('sha256').update(zip).digest('hex');
  console.log(`${name}: ${code.length} bytes, zipped ${zip.length}, sha256:${digest}`);
}
