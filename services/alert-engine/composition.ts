import { streamWith } from '#core/delivery/stream-capabilities.ts';
import { openRuntime, type ServiceRuntime } from '#services/shared/composition.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { composeAlone, type ServiceAlone } from '#services/shared/process/compose-alone.ts';
import { startAlertEngine, type RunningAlertEngine } from './alert-engine.ts';
import { alertEngineConfigSchema } from './config.ts';

const NAME = 'alert-engine';

/** The alert engine as a process of its own. */
export function composeAlertEngine(configuration: Configuration): Promise<ServiceAlone<RunningAlertEngine>> {
  return composeAlone(NAME, openRuntime(configuration, NAME), wireAlertEngine);
}

/** The alert engine on the ports of the process that it runs in. */
export async function wireAlertEngine(runtime: ServiceRuntime): Promise<RunningAlertEngine> {
  const { configuration, port, logger, metrics, tracing } = runtime;
  const { latenessMs } = configuration;
  return startAlertEngine(alertEngineConfigSchema.parse({ latenessMs }), {
    stream: streamWith(await port('eventStream'), NAME, 'MeasuredStream', 'ReadableTail'),
    journal: await port('alarmJournal'),
    rules: await port('ruleStore'),
    machines: await port('machineRegistry'),
    checkpoints: await port('checkpointStore'),
    notifiers: await port('notifiers'),
    clock: await port('clock'),
    ...{ logger, metrics, tracing },
  });
}
