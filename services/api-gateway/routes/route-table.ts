import type { ApiGatewayConfig } from '../config.ts';
import { asyncApiDocument } from '../documents/asyncapi.ts';
import { openApiDocument } from '../documents/openapi.ts';
import type { Route } from '../http/route.ts';
import { accessRoutes } from './access-routes.ts';
import { alarmRoutes } from './alarm-routes.ts';
import { auditRoutes } from './audit-routes.ts';
import { commandRoutes } from './command-routes.ts';
import { deviceRoutes } from './device-routes.ts';
import { eventRoutes } from './event-routes.ts';
import { ledgerRoutes } from './ledger-routes.ts';
import { machineRoutes } from './machine-routes.ts';
import { modelRoutes } from './model-routes.ts';
import { operationRoutes } from './operation-routes.ts';
import { plantRoutes } from './plant-routes.ts';
import { rawRoutes } from './raw-routes.ts';
import { ruleRoutes } from './rule-routes.ts';
import { seriesRoutes } from './series-routes.ts';
import { signInRoutes } from './sign-in-routes.ts';
import { telemetryRoutes } from './telemetry-routes.ts';
import { waveformRoutes } from './waveform-routes.ts';

/** Every call of the API. */
export function routeTable(
  config: Pick<ApiGatewayConfig, 'maxTelemetryBytes' | 'maxWaveformBytes' | 'maxModelBytes' | 'maxJsonBytes'>,
): readonly Route[] {
  const limits = {
    jsonBytes: config.maxJsonBytes,
    telemetryBytes: config.maxTelemetryBytes,
    waveformBytes: config.maxWaveformBytes,
    modelBytes: config.maxModelBytes,
  };
  let openapi: object | undefined;
  let asyncapi: object | undefined;
  const table: readonly Route[] = [
    ...telemetryRoutes(limits),
    ...machineRoutes(limits),
    ...plantRoutes(),
    ...seriesRoutes(),
    ...rawRoutes(),
    ...waveformRoutes(),
    ...alarmRoutes(limits),
    ...ruleRoutes(limits),
    ...modelRoutes(limits),
    ...deviceRoutes(limits),
    ...commandRoutes(),
    ...accessRoutes(limits),
    ...signInRoutes(),
    ...auditRoutes(),
    ...ledgerRoutes(),
    ...eventRoutes(),
    ...operationRoutes({
      openapi: () => (openapi ??= openApiDocument(table)),
      asyncapi: (addresses) => (asyncapi ??= asyncApiDocument(addresses)),
    }),
  ];
  return table;
}
