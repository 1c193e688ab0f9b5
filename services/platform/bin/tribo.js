#!/usr/bin/env node
// Plain JavaScript: it runs on whatever Node.js the machine has and hands over to the pinned one, which runs TypeScript as it is.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';
import { isPinned, PINNED_MAJOR, PINNED_NODE } from './pinned.js';

const cli = fileURLToPath(new URL('../cli/main.ts', import.meta.url));

if (isPinned) {
  module.enableCompileCache();
  await import('../cli/main.ts');
} else {
  if (!existsSync(PINNED_NODE)) {
    console.error(
      `tribo needs Node.js ${PINNED_MAJOR} and this is ${process.version}: run "npm ci" in the project's folder, it installs the right one.`,
    );
    process.exit(78);
  }
  // As `npm start` does: of the young generation V8 would take 128 MiB.
  const child = spawn(PINNED_NODE, ['--max-semi-space-size=32', cli, ...process.argv.slice(2)], { stdio: 'inherit' });
  // Ctrl-C reaches the child by itself, as one of the terminal's group: from here it would get a second one, which ends it at once.
  process.on('SIGINT', () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
}
