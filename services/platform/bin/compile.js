// Compiles the platform after an install, so that its first start takes no longer than the next ones. Whichever Node.js did the install.
import { spawnSync } from 'node:child_process';
import module from 'node:module';
import { fileURLToPath } from 'node:url';
import { isPinned, PINNED_NODE } from './pinned.js';

if (isPinned) {
  module.enableCompileCache();
  await Promise.all([
    import('../run-platform.ts'),
    import('../own-services.ts'),
    import('../../timeseries-service/composition.ts'),
  ]);
  // Some of them keep what they opened.
  process.exit();
} else spawnSync(PINNED_NODE, [fileURLToPath(import.meta.url)], { stdio: 'inherit' });
