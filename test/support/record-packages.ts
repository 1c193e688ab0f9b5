/* Preloaded into a process: notes at its end which packages it loaded, in a file of its own in the folder RECORDED_PACKAGES. */
import { writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';

const packages = new Set<string>();
registerHooks({
  load: (url, context, nextLoad) => {
    const name = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
    if (name !== undefined) packages.add(name);
    return nextLoad(url, context);
  },
});
process.on('exit', () => {
  writeFileSync(join(process.env['RECORDED_PACKAGES'] ?? '', `${process.pid}.json`), JSON.stringify([...packages]));
});
