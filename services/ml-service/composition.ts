import { deadLettersInStore } from '#core/derivation/dead-letters.ts';
import { DEFAULT_INDICATOR_PARAMETERS } from '#core/inference/health-indicator.ts';
import { demoPlant } from '#services/edge-simulator/plant.ts';
import { openRuntime, type ServiceRuntime } from '#services/shared/composition.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { composeAlone, type ServiceAlone } from '#services/shared/process/compose-alone.ts';
import { mlServiceConfigSchema, type MlServiceConfig } from './config.ts';
import { ML_GROUP, startMlService, type RunningMlService } from './ml-service.ts';

const NAME = 'ml-service';
/** About 20 s of the demo's waveforms. */
const DEMO_BASELINE_VECTORS = 8;

/** The ml-service as a process of its own. */
export function composeMlService(configuration: Configuration): Promise<ServiceAlone<RunningMlService>> {
  return composeAlone(NAME, openRuntime(configuration, NAME), wireMlService);
}

/** The ml-service on the ports of the process that it runs in. */
export async function wireMlService(runtime: ServiceRuntime): Promise<RunningMlService> {
  const { configuration, port, store, logger, metrics, tracing } = runtime;
  const indicatorOf = configuration.demo ? demoIndicators(configuration) : {};
  return startMlService(mlServiceConfigSchema.parse({ indicatorOf }), {
    stream: await port('eventStream'),
    machines: await port('machineRegistry'),
    registry: await port('modelRegistry'),
    inference: await port('modelInference'),
    checkpoints: await port('checkpointStore'),
    deadLetter: deadLettersInStore(store, { writesTo: 'inference-results', group: ML_GROUP }),
    clock: await port('clock'),
    ...{ logger, metrics, tracing },
  });
}

/** Demo machines age a day in a minute and a half: what is healthy is learnt in seconds there. */
function demoIndicators({ tenant, site }: Configuration): MlServiceConfig['indicatorOf'] {
  const parameters = { ...DEFAULT_INDICATOR_PARAMETERS, baselineVectors: DEMO_BASELINE_VECTORS };
  const { machines } = demoPlant({ tenant, site });
  return Object.fromEntries(machines.map(({ id }) => [`${tenant}/${site}/${id}`, parameters]));
}
