// Builds the dashboard after an install. Plain JavaScript, because it runs on whatever Node.js did the install.
import { existsSync } from 'node:fs';
const here = new URL('.', import.meta.url);
if (existsSync(new URL('vite.config.js', here))) {
  try {
    const { build } = await import('vite');
    await build({ root: here.pathname, logLevel: 'warn' });
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    const built = existsSync(new URL('dist/index.html', here));
    console.warn(
      built
        ? 'Dashboard: using the build that is already there.'
        : 'Dashboard not built: install with dev dependencies once, then prune them.',
    );
  }
}
