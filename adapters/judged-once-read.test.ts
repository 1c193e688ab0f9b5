import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { FAMILIES } from './providers.ts';

const offers = Object.values(FAMILIES).flat();
const schemaOf = new Map(offers.map(({ adapter, schema }) => [adapter, schema]));

/** The schema and those of what is within it. */
function withParts(schema: unknown): readonly z.core.$ZodType[] {
  if (!(schema instanceof z.core.$ZodType)) return [];
  const def = schema._zod.def as unknown as Readonly<Record<string, unknown>>;
  const parts = [def['innerType'], def['element'], def['valueType'], def['in'], def['options'], def['shape']];
  const within = parts.flatMap((part): unknown[] =>
    part instanceof z.core.$ZodType ? [part] : Object.values(part ?? {}),
  );
  return [schema, ...within.flatMap(withParts)];
}

describe('a rule over several settings of an adapter', () => {
  it.each([
    [
      'kafka-event-stream',
      { brokers: ['broker.example:9092'], tls: false, retentionMs: 'long' },
      ['retentionMs', 'tls'],
    ],
    ['mqtt-device-gateway', { url: 'mqtt://broker.example:1883' }, ['clientId', 'url']],
    [
      'mqtt-device-gateway',
      { certificateFile: 'gateway.pem', username: 'gateway' },
      ['clientId', 'keyFile', 'passwordVariable', 'url'],
    ],
    ['blob-object-store', {}, ['accountUrl', 'container']],
    ['event-hubs-event-stream', {}, ['accountUrl', 'checkpointContainer', 'namespace', 'streams']],
    ['postgres-rule-store', { host: 'db.example', tls: 'off', port: 'x' }, ['port', 'tls']],
    [
      'cognito-identity-verifier',
      { region: 'us-east-2', userPoolId: 'us-east-1_a' },
      ['clientIds', 'tenant', 'userPoolId'],
    ],
    ['entra-identity-verifier', { audience: 'api://tribo' }, ['audience', 'directoryId', 'tenant']],
    [
      'jwks-identity-verifier',
      { issuer: 'https://id.example', signIn: { id: 'id', name: 'Id', tokenEndpoint: 'https://id.example/token' } },
      ['audience', 'signIn', 'signIn.clientId'],
    ],
  ])('of %s is told beside what else is missing or wrong', (adapter, given, places) => {
    const { error } = schemaOf.get(adapter)!.safeParse(given);
    expect(error?.issues.map(({ path }) => path.join('.')).sort()).toEqual(places);
  });

  it.each(offers.map(({ adapter, schema }) => [adapter, schema] as const))(
    'is never left for later: %s',
    (_adapter, schema) => {
      const rules = withParts(schema)
        .filter((part) => part instanceof z.core.$ZodObject)
        .flatMap((part) => part._zod.def.checks ?? []);
      expect(rules.filter(({ _zod: { def } }) => def.when === undefined)).toEqual([]);
    },
  );
});
