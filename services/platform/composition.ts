import { fileURLToPath } from 'node:url';
import { seedDefaultRules } from '#core/alerting/default-rules.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { openRuntime, type ServiceRuntime } from '#services/shared/composition.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { ConfigurationError } from '#services/shared/config/configuration-error.ts';
import { isApart } from '#services/shared/rpc/links.ts';
import { authorityFile } from '#services/shared/tls/authority.ts';
import { childEnvironment } from './child-environment.ts';
import type { Platform, StartedPlatform } from './platform.ts';
import { startSplit } from './split-platform.ts';
import { supervise } from './supervisor.ts';

const PROCESS = 'platform';
const TIMESERIES_ENTRY = fileURLToPath(new URL('../timeseries-service/main.ts', import.meta.url));

/**
 * Starts the whole platform: the time-series store in a process of its own and the rest in this one, or with `--split` each service in a
 * process of its own. When the signal says to stop before it runs, or the start fails, what was started is stopped and the start rejects.
 */
export async function composePlatform(configuration: Configuration, signal: AbortSignal): Promise<Platform> {
  if (isApart(configuration))
    throw new ConfigurationError([
      'TRIBO_LINK_PORT and TRIBO_LINK_ADDRESSES are for services that are started one by one (node services/<service>/main.ts); the platform starts them all on its data folder: take them away',
    ]);
  await using opened = new AsyncDisposableStack();
  const runtime = openRuntime(configuration, PROCESS);
  opened.defer(() => runtime.close());
  const tenant = configuration.tenant as TenantId;
  await seedDefaultRules(await runtime.port('ruleStore'), tenant);
  const start = configuration.split ? startSplit : startTogether;
  const started = await start(runtime, opened, signal);
  const issuer = await runtime.port('tokenIssuer');
  const parts = opened.move();
  return {
    ...started,
    elsewhere: runtime.elsewhere,
    commandToken: async (lifetimeMs) =>
      (await issuer.issue({ tenant, subject: 'command-line', roles: ['admin'], lifetimeMs })).token,
    caFile: authorityFile(configuration, runtime.certificates.current),
    close: () => parts.disposeAsync(),
  };
}

/** The modules of the own services are loaded while the store starts: each takes about half a second. */
async function startTogether(
  runtime: ServiceRuntime,
  opened: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<StartedPlatform> {
  const { configuration, logger } = runtime;
  // A group must be known before anything is published to its stream: who reads starts before who writes.
  const storeStarts = supervise(
    { name: 'timeseries-service', entry: TIMESERIES_ENTRY, env: () => childEnvironment(configuration) },
    (name, cause) => logger.error({ service: name, cause }, 'a service ended and is started again'),
    signal,
  );
  const [storeProcess, { startOwnServices }] = await Promise.all([storeStarts, import('./own-services.ts')]);
  opened.defer(() => storeProcess.stop());
  return startOwnServices(runtime, opened, signal, storeProcess);
}
