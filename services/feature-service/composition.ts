import { deadLettersInStore } from '#core/derivation/dead-letters.ts';
import { openRuntime, type ServiceRuntime } from '#services/shared/composition.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { composeAlone, type ServiceAlone } from '#services/shared/process/compose-alone.ts';
import { featureServiceConfigSchema } from './config.ts';
import { COMPUTE_GROUP, startFeatureService, type RunningFeatureService } from './feature-service.ts';

const NAME = 'feature-service';

/** The feature service as a process of its own. */
export function composeFeatureService(configuration: Configuration): Promise<ServiceAlone<RunningFeatureService>> {
  return composeAlone(NAME, openRuntime(configuration, NAME), wireFeatureService);
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
