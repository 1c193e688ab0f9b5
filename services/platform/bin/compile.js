// Compiles the platform after an install, so that its first start takes no longer than the next ones.
import module from 'node:module';
import { isPinned } from './pinned.js';

if (isPinned) {
  module.enableCompileCache();
  await Promise.all([
    import('../run-platform.ts'),
    import('../own-services.ts'),
    import('../../timeseries-service/composition.ts'),
  ]);
  // Some of them keep what they opened.
  process.exit();
}
