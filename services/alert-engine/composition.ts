import { streamWith } from '#core/delivery/stream-capabilities.ts';
import { openRuntime, type ServiceRuntime } from '#services/shared/composition.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { composeAlone, type ServiceAlone } from '#services/shared/process/compose-alone.ts';
import { ALERTING_PORT } from '#services/shared/rpc/alerting-port.ts';
import { startAlertEngine, type RunningAlertEngine } from './alert-engine.ts';
import { alertEngineConfigSchema } from './config.ts';

const NAME = 'alert-engine';

/** The alert engine as a process of its own. */
export function composeAlertEngine(configuration: Configuration): Promise<ServiceAlone<RunningAlertEngine>> {
  return composeAlone(NAME, openRuntime(configuration, NAME), startServing);
}

/** With a port by which the gateway has dead letters judged again. */
async function startServing(runtime: ServiceRuntime): Promise<RunningAlertEngine> {
  await using opened = new AsyncDisposableStack();
  const service = await wireAlertEngine(runtime);
  opened.defer(() => service.close());
  const { judgeAgain, learning } = service;
  const server = await runtime.links.serve(ALERTING_PORT, {
    judgeAgain,
    learning,
  });
  opened.defer(() => server.close());
  const parts = opened.move();
  return { ...service, close: () => parts.disposeAsync() };
}

/** The alert engine on the ports of the process that it runs in. */
export async function wireAlertEngine(runtime: ServiceRuntime): Promise<RunningAlertEngine> {
  const { configuration, port, store, logger, metrics, tracing } = runtime;
  const { latenessMs, windowIdleMs, windowS, windowStepS = windowS } = configuration;
  const windows = { windowMs: 1000 * windowS, windowStepMs: 1000 * windowStepS, windowIdleMs };
  return startAlertEngine(alertEngineConfigSchema.parse({ latenessMs, ...windows }), {
    stream: streamWith(await port('eventStream'), NAME, 'MeasuredStream'),
    journal: await port('alarmJournal'),
    rules: await port('ruleStore'),
    machines: await port('machineRegistry'),
    checkpoints: await port('checkpointStore'),
    store,
    notifiers: await port('notifiers'),
    clock: await port('clock'),
    ...{ logger, metrics, tracing },
  });
}
