import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { FAMILIES, PROVIDERS } from '../../adapters/providers.ts';
import { loadPortsFile } from '../../services/shared/config/ports-file.ts';
import { changed, shipped, synthesized } from '../testing/synthesized.ts';

const SUBSCRIPTION = '00000000-0000-4000-8000-000000000001';

/** What is known once the stacks are deployed, by what its reference ends in. */
const DEPLOYED: readonly (readonly [RegExp, string])[] = [
  [/azurerm_postgresql_flexible_server.*fqdn$/, 'tribo-bergen-database.postgres.database.azure.com'],
  [/azurerm_eventhub_namespace.*name$/, 'tribo-bergen-prod-events-01234567'],
  [/azurerm_storage_account.*name$/, 'tribobergenprodob01234567'],
  [/azurerm_key_vault.*name$/, 'tribo-bergen-p-01234567'],
  [/azurerm_iothub.*hostname$/, 'tribo-bergen-prod-devices-01234567.azure-devices.net'],
  [/azurerm_communication_service.*hostname$/, 'tribo-mail.norway.communication.azure.com'],
  [/from_sender_domain$/, '00000000-1111.azurecomm.net'],
];

describe('the ports file', () => {
  it.each(['bergen.prod', 'bergen.dev', 'akron.prod', 'gent.dev'])('of %s is one that the platform takes', (name) => {
    const folder = mkdtempSync(join(tmpdir(), 'tribo-ports-'));
    try {
      const path = join(folder, 'ports.json');
      const environment = changed(shipped(name), { accounts: { azure: SUBSCRIPTION } });
      const { platform } = synthesized(environment, 'azure').json;
      writeFileSync(path, JSON.stringify(deployed(platform.output!['ports']!.value)));
      const chosen = loadPortsFile(path, { families: FAMILIES, providers: PROVIDERS });
      const adapters = chosen.map(({ offer }) => offer.adapter);
      expect(adapters).toEqual(
        expect.arrayContaining([
          ...['event-hubs-event-stream', 'blob-object-store', 'key-vault-secret-store', 'communication-notifier'],
          ...['iot-hub-device-gateway', 'iot-hub-device-registry', 'postgres-time-series-store'],
          name.startsWith('bergen') ? 'entra-identity-verifier' : 'jwks-identity-verifier',
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
