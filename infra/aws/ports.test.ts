import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { FAMILIES, PROVIDERS } from '../../adapters/providers.ts';
import { loadPortsFile } from '../../services/shared/config/ports-file.ts';
import { changed, shipped, synthesized } from '../testing/synthesized.ts';

/** What is known once the stacks are deployed, by what its reference ends in. */
const DEPLOYED: readonly (readonly [RegExp, string])[] = [
  [/user_pool\.[\w-]+\.id$/, 'us-east-2_AbCdEf123'],
  [/user_pool_client\.[\w-]+\.id$/, '1h57kf5cpq17m0eml12EXAMPLE'],
  [/user_pool_domain\.[\w-]+\.domain$/, 'tribo-0123456789ab-123456789012'],
  [/sns_topic\.[\w-]+\.arn$/, 'arn:aws:sns:us-east-2:123456789012:tribo-akron-prod-machine-alarms'],
  [/endpoint_address$/, 'abc-ats.iot.us-east-2.amazonaws.com'],
  [/aws_db_instance.*address$/, 'tribo.abc.us-east-2.rds.amazonaws.com'],
  [/aws_s3_bucket.*id$/, 'tribo-akron-prod-objects-123456789012'],
  [/bootstrap_brokers_sasl_iam\), \d\)$/, 'b-1.tribo.abc.c1.kafka.us-east-2.amazonaws.com:9098'],
  [/aws_kms_key.*arn$/, 'arn:aws:kms:us-east-2:123456789012:key/0'],
];

describe('the ports file', () => {
  it.each([
    ['akron.prod', 'native'],
    ['akron.dev', 'native'],
    ['gent.prod', 'native'],
    ['akron.dev', 'kafka'],
  ] as const)('of %s with streams that are %s is one that the platform takes', (name, eventStream) => {
    const environment = shipped(name);
    const site = synthesized(changed(environment, { switches: { ...environment.switches, eventStream } }));
    const folder = mkdtempSync(join(tmpdir(), 'tribo-ports-'));
    try {
      const path = join(folder, 'ports.json');
      writeFileSync(path, JSON.stringify(deployed(site.json.platform.output!['ports']!.value)));
      const chosen = loadPortsFile(path, { families: FAMILIES, providers: PROVIDERS });
      const adapters = chosen.map(({ offer }) => offer.adapter);
      expect(adapters).toEqual(
        expect.arrayContaining([
          ...[
            eventStream === 'native' ? 'kinesis-event-stream' : 'kafka-event-stream',
            's3-object-store',
            'secrets-manager-secret-store',
            'sns-notifier',
          ],
          ...['iot-core-device-gateway', 'iot-core-device-registry', 'postgres-time-series-store'],
          name.startsWith('akron') ? 'cognito-identity-verifier' : 'jwks-identity-verifier',
        ]),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** With values in place of references. @throws Error at one that nothing is known of. */
function deployed(value: unknown): unknown {
  const text = JSON.stringify(value).replace(/\$\{([^}]*)\}/g, (_, reference: string) => {
    const known = DEPLOYED.find(([ending]) => ending.test(reference));
    if (!known) throw new Error(`nothing is known of ${reference}`);
    return known[1];
  });
  return JSON.parse(text);
}
