import { describe, expect, it } from '@jest/globals';
import { postgresAlarmJournalConfigSchema } from './postgres-alarm-journal/config.ts';
import { postgresAuditTrailConfigSchema } from './postgres-audit-trail/config.ts';
import { postgresCheckpointStoreConfigSchema } from './postgres-checkpoint-store/config.ts';
import { postgresDeviceRegistryConfigSchema } from './postgres-device-registry/config.ts';
import { postgresMachineRegistryConfigSchema } from './postgres-machine-registry/config.ts';
import { postgresModelRegistryConfigSchema } from './postgres-model-registry/config.ts';
import { postgresRuleStoreConfigSchema } from './postgres-rule-store/config.ts';
import { postgresTimeSeriesStoreConfigSchema } from './postgres-time-series-store/config.ts';
import { postgresTokenIssuerConfigSchema } from './postgres-token-issuer/config.ts';

describe.each([
  ['alarm journal', postgresAlarmJournalConfigSchema],
  ['audit trail', postgresAuditTrailConfigSchema],
  ['checkpoint store', postgresCheckpointStoreConfigSchema],
  ['device registry', postgresDeviceRegistryConfigSchema],
  ['machine registry', postgresMachineRegistryConfigSchema],
  ['model registry', postgresModelRegistryConfigSchema],
  ['rule store', postgresRuleStoreConfigSchema],
  ['time series store', postgresTimeSeriesStoreConfigSchema],
  ['token issuer', postgresTokenIssuerConfigSchema],
])('the connection to PostgreSQL of the %s', (_port, schema) => {
  it.each([
    ['TLS, unless told otherwise', { host: 'db.akron.example' }],
    ['in clear on loopback', { host: '127.0.0.1', tls: 'off' }],
    ['in clear on loopback by name', { host: 'localhost', tls: 'off' }],
    ['in clear on loopback by IPv6', { host: '::1', tls: 'off' }],
    ['in clear by a Unix socket', { host: '/run/postgresql', tls: 'off' }],
    [
      'in clear in a network that is said to be heard by nobody else',
      { host: 'postgres', tls: 'off-in-private-network' },
    ],
  ])('may be %s', (_what, given) => {
    expect(schema.safeParse(given).error).toBeUndefined();
  });

  it.each(['db.akron.example', '10.0.0.1', '127.0.0.1.example'])('is refused in clear to %s', (host) => {
    expect(schema.safeParse({ host, tls: 'off' }).error?.issues).toMatchObject([
      { path: ['tls'], message: expect.stringContaining('say verify-full, or off-in-private-network') },
    ]);
  });
});
