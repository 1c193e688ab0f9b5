// Bundles each function with all that it imports into dist/, byte for byte the same from the same sources: <function>.zip for AWS Lambda from its main.ts,
// <function>-azure.zip for Azure Functions from its azure/main.ts. Plain JavaScript, as the page's build.
import { Buffer } from 'node:buffer';
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
  const [lambda, azure] = [join(here, name, 'main.ts'), join(here, name, 'azure')];
  if (existsSync(lambda)) write(name, { 'index.mjs': await bundled(lambda, 'es', []) });
  if (!existsSync(join(azure, 'main.ts'))) continue;
  write(`${name}-azure`, {
    // The runtime gives itself to what requires it, which a module of ES cannot.
    'index.js': await bundled(join(azure, 'main.ts'), 'cjs', ['@azure/functions-core']),
    'host.json': readFileSync(join(azure, 'host.json')),
    'package.json': Buffer.from(`${JSON.stringify({ name, main: 'index.js' })}\n`),
  });
}

/** Of the one file that a runtime of Node.js 22 loads. */
async function bundled(entry, format, external) {
  const { output } = await build({
    configFile: false,
    root: join(here, '../..'),
    logLevel: 'warn',
    ssr: { noExternal: true, external },
    build: {
      ssr: entry,
      write: false,
      target: 'node22',
      // A module of ES is strict by itself, and what is bundled counts on it.
      rolldownOptions: { external, output: { format, codeSplitting: false, banner: "'use strict';" } },
    },
  });
  if (output.length !== 1) throw new Error(`${entry} became ${output.length} files, not one`);
  return Buffer.from(output[0].code);
}

function write(name, files) {
  const zip = zipSync(files, { level: 9, mtime: NO_TIME });
  writeFileSync(join(dist, `${name}.zip`), zip);
  const digest = createHash('sha256').update(zip).digest('hex');
  const bytes = Object.values(files).reduce((sum, file) => sum + file.length, 0);
  console.log(`${name}: ${bytes} bytes, zipped ${zip.length}, sha256:${digest}`);
}
