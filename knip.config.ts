import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KnipConfig } from 'knip';

/** Whose own parts are imported too, such as those of @smithy. */
const SCOPES = '@(aws-sdk|smithy|azure|google-cloud|grpc)/.+';

/** What `sdks/` installs is used by the adapters, which are outside its packages. */
function ofSdks(): readonly string[] {
  const folder = join(import.meta.dirname, 'sdks');
  const names = readdirSync(folder).flatMap((provider) => {
    const manifest = JSON.parse(readFileSync(join(folder, provider, 'package.json'), 'utf8')) as Manifest;
    return Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
  });
  return names.filter((name) => !new RegExp(`^${SCOPES}$`).test(name));
}

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

const config: KnipConfig = {
  entry: [
    'services/*/main.ts',
    'services/platform/bin/*.js',
    'services/frontend/build.js',
    'services/functions/build.js',
    'services/functions/*/main.ts',
    'services/functions/*/azure/main.ts',
    'services/functions/*/gcp/main.ts',
    'services/frontend/src/main.tsx',
    'services/frontend/vite.config.js',
    'services/api-gateway/generate.ts',
    'services/shared/environments/generate.ts',
    'services/shared/process/check-health.ts',
    'bench/*.ts',
    'bench/streams/client.ts',
    'test/**/*.ts',
    '.ci/*.ts',
    'adapters/*/*/permissions.ts',
    'core/ports/*.ts',
    'core/contracts/*.ts',
    'adapters/embedded/*/testing/*.ts',
    'adapters/*/*/processes/*.ts',
    'services/*/composition.ts',
    'services/edge-simulator/**/test-*.ts',
    'services/shared/rpc/front-end-test-child.ts',
    'services/shared/rpc/rpc-test-child.ts',
    'core/domain/*.ts',
    'core/moving/*.ts',
    'services/api-gateway/schemas/*.ts',
  ],
  project: ['{core,adapters,services,bench,test}/**/*.{ts,tsx,js}'],
  ignore: ['test/boundaries/fixtures/**'],
  ignoreDependencies: ['reflect-metadata', SCOPES, ...ofSdks()],
  ignoreBinaries: ['chromium', 'strace', 'mount', 'umount'],
  ignoreExportsUsedInFile: true,
};

export default config;
