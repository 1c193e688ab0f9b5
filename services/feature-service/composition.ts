import { deadLettersInStore } from '#core/derivation/dead-letters.ts';
import { openRuntime, type ServiceRuntime } from '#services/shared/composition.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { composeAlone, type ServiceAlone } from '#services/shared/process/compose-alone.ts';
import { FEATURES_PORT, servedFeatures } from '#services/shared/rpc/features-port.ts';
import { featureServiceConfigSchema } from './config.ts';
import { COMPUTE_GROUP, startFeatureService, type RunningFeatureService } from './feature-service.ts';

const NAME = 'feature-service';

/** The feature service as a process of its own. */
export function composeFeatureService(configuration: Configuration): Promise<ServiceAlone<RunningFeatureService>> {
  return composeAlone(NAME, openRuntime(configuration, NAME), startServing);
}

/** With a port by which the gateway has features published: replayed dead letters, on a stream that this process alone writes. */
async function startServing(runtime: ServiceRuntime): Promise<RunningFeatureService> {
  await using opened = new AsyncDisposableStack();
  const service = await wireFeatureService(runtime);
  opened.defer(() => service.close());
  const features = servedFeatures(await runtime.port('eventStream'));
  const server = await runtime.links.serve(FEATURES_PORT, features);
  opened.defer(() => server.close());
  const parts = opened.move();
  return { ...service, close: () => parts.disposeAsync() };
}

/** The feature service on the ports of the process that it runs in. */
export async function wireFeatureService(runtime: ServiceRuntime): Promise<RunningFeatureService> {
  const { port, store, logger, metrics, tracing } = runtime;
  return startFeatureService(featureServiceConfigSchema.parse({}), {
    stream: await port('eventStream'),
    objects: await port('objectStore'),
    machines: await port('machineRegistry'),
    readings: store,
    deadLetter: deadLettersInStore(store, { writesTo: 'features', group: COMPUTE_GROUP }),
    clock: await port('clock'),
    ...{ logger, metrics, tracing },
  });
}
