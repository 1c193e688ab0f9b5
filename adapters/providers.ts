import type { PortName } from '#core/ports/tokens.ts';
import { awsOffers } from './aws/module.ts';
import { azureOffers } from './azure/module.ts';
import { gcpOffers } from './gcp/module.ts';
import { kafkaOffers } from './kafka/module.ts';
import { mqttOffers } from './mqtt/module.ts';
import { oidcOffers } from './oidc/module.ts';
import { postgresOffers } from './postgres/module.ts';
import type { Offer } from './provider-module.ts';

/** What a site may choose, by the family that it is of. */
export const FAMILIES: Readonly<Record<string, readonly Offer[]>> = {
  aws: awsOffers,
  azure: azureOffers,
  gcp: gcpOffers,
  kafka: kafkaOffers,
  mqtt: mqttOffers,
  oidc: oidcOffers,
  postgres: postgresOffers,
};

/** PostgreSQL is the one database that every provider runs. */
const IN_POSTGRES = {
  timeSeriesStore: 'postgres-time-series-store',
  checkpointStore: 'postgres-checkpoint-store',
  machineRegistry: 'postgres-machine-registry',
  deviceRegistry: 'postgres-device-registry',
  ruleStore: 'postgres-rule-store',
  alarmJournal: 'postgres-alarm-journal',
  auditTrail: 'postgres-audit-trail',
  modelRegistry: 'postgres-model-registry',
  tokenIssuer: 'postgres-token-issuer',
} as const;

/** Which adapter a site of a provider has for a port unless it says otherwise; a port that is not here is embedded. */
export const PROVIDERS: Readonly<Record<string, Readonly<Partial<Record<PortName, string>>>>> = {
  embedded: {},
  aws: {
    ...IN_POSTGRES,
    eventStream: 'kinesis-event-stream',
    objectStore: 's3-object-store',
    secretStore: 'secrets-manager-secret-store',
  },
  azure: {
    ...IN_POSTGRES,
    eventStream: 'event-hubs-event-stream',
    objectStore: 'blob-object-store',
    secretStore: 'key-vault-secret-store',
  },
  gcp: {
    ...IN_POSTGRES,
    eventStream: 'pubsub-event-stream',
    objectStore: 'gcs-object-store',
    secretStore: 'secret-manager-secret-store',
  },
};
