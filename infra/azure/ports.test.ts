import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { FAMILIES, PROVIDERS } from '../../adapters/providers.ts';
import type { Environment } from '../../core/decision/environment.ts';
import { loadPortsFile } from '../../services/shared/config/ports-file.ts';
import { changed, shipped, synthesized } from '../testing/synthesized.ts';
import { withKafka, withModels } from '../testing/variations.ts';

const SUBSCRIPTION = '00000000-0000-4000-8000-000000000001';

/** What is known once the stacks are deployed, by what its reference ends in. */
const DEPLOYED: readonly (readonly [RegExp, string])[] = [
  [/azurerm_postgresql_flexible_server.*fqdn$/, 'tribo-bergen-database.postgres.database.azure.com'],
  [/azurerm_eventhub_namespacedevice-hub.*name$/, 'tribo-bergen-prod-device-events-01234567'],
  [/azurerm_eventhub_namespace.*name$/, 'tribo-bergen-prod-events-01234567'],
  [/azurerm_storage_account.*name$/, 'tribobergenprodob01234567'],
  [/azurerm_key_vault.*name$/, 'tribo-bergen-p-01234567'],
  [/azurerm_iothub.*hostname$/, 'tribo-bergen-prod-devices-01234567.azure-devices.net'],
  [/azurerm_resource_group_template_deployment.*hostName/, 'tribo-mail.norway.communication.azure.com'],
  [/scoringUri/, 'https://tribo-bergen-prod-01234567.norwayeast.inference.ml.azure.com/score'],
  [/from_sender_domain$/, '00000000-1111.azurecomm.net'],
];

describe('the ports file', () => {
  it.each(['bergen.prod', 'bergen.dev', 'akron.prod', 'gent.dev'])('of %s is one that the platform takes', (name) => {
    expect(adaptersOf(shipped(name))).toEqual(
      expect.arrayContaining([
        ...['event-hubs-event-stream', 'blob-object-store', 'key-vault-secret-store', 'communication-notifier'],
        ...['iot-hub-device-gateway', 'iot-hub-device-registry', 'postgres-time-series-store'],
        name.startsWith('bergen') ? 'entra-identity-verifier' : 'jwks-identity-verifier',
      ]),
    );
  });

  it('names the endpoint of models where there is one', () => {
    expect(adaptersOf(withModels(shipped('bergen.prod')))).toContain('azure-ml-model-inference');
  });

  it('with Kafka leads to the namespace of the topics, as the process itself, and to that of the devices beside it', () => {
    const prod = shipped('bergen.prod');
    const chosen = chosenOf(withKafka(prod));
    const of = (port: string) => chosen.find(({ offer }) => offer.port === port)!;
    expect(of('eventStream').offer.adapter).toBe('kafka-event-stream');
    expect(of('eventStream').settings).toMatchObject({
      brokers: ['tribo-bergen-prod-events-01234567.servicebus.windows.net:9093'],
      prefix: 'tribo.',
      tls: true,
      sasl: { mechanism: 'azure-event-hubs', namespace: 'tribo-bergen-prod-events-01234567.servicebus.windows.net' },
      retentionMs: prod.retention.streamHours * 3_600_000,
    });
    expect(of('eventStream').settings).not.toHaveProperty('topics');
    // What was accepted is counted in the database, which is one for all processes.
    expect(of('checkpointStore').offer.adapter).toBe('postgres-checkpoint-store');
    expect(of('deviceGateway').settings).toMatchObject({
      namespace: 'tribo-bergen-prod-device-events-01234567.servicebus.windows.net',
      eventHub: 'devices',
      checkpointContainer: 'checkpoints',
    });
  });
});

/** Those that the platform takes from the file of a site. */
function adaptersOf(environment: Environment): readonly string[] {
  return chosenOf(environment).map(({ offer }) => offer.adapter);
}

function chosenOf(environment: Environment): ReturnType<typeof loadPortsFile> {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-ports-'));
  try {
    const path = join(folder, 'ports.json');
    const { platform } = synthesized(changed(environment, { accounts: { azure: SUBSCRIPTION } }), 'azure').json;
    writeFileSync(path, JSON.stringify(deployed(platform.output!['ports']!.value)));
    return loadPortsFile(path, { families: FAMILIES, providers: PROVIDERS });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** With values in place of references. @throws Error at one that nothing is known of. */
function deployed(value: unknown): unknown {
  const text = JSON.stringify(value).replace(/\$\{([^}]*)\}/g, (_, reference: string) => {
    const known = DEPLOYED.find(([ending]) => ending.test(reference));
    if (!known) throw new Error(`nothing is known of ${reference}`);
    return known[1];
  });
  return JSON.parse(text);
}
