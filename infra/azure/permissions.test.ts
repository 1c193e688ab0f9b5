import { describe, expect, it } from '@jest/globals';
import { Lazy } from 'cdktf';
import type { Grant } from '../../adapters/permissions.ts';
import { blobObjectStorePermissions } from '../../adapters/azure/blob-object-store/permissions.ts';
import { communicationNotifierPermissions } from '../../adapters/azure/communication-notifier/permissions.ts';
import { eventHubsEventStreamPermissions } from '../../adapters/azure/event-hubs-event-stream/permissions.ts';
import { iotHubDeviceGatewayPermissions } from '../../adapters/azure/iot-hub-device-gateway/permissions.ts';
import { iotHubDeviceRegistryPermissions } from '../../adapters/azure/iot-hub-device-registry/permissions.ts';
import { keyVaultSecretStorePermissions } from '../../adapters/azure/key-vault-secret-store/permissions.ts';
import { SERVICE_PORTS, type CloudPort } from '../service-ports.ts';
import { shipped, synthesized } from '../testing/synthesized.ts';
import { asPermissions, nameOf, rightsFor, together } from './grants.ts';

const inProd = synthesized(shipped('bergen.prod'), 'azure');

const DECLARED: Readonly<Record<CloudPort, readonly Grant[]>> = {
  eventStream: eventHubsEventStreamPermissions,
  objectStore: blobObjectStorePermissions,
  secretStore: keyVaultSecretStorePermissions,
  deviceGateway: iotHubDeviceGatewayPermissions,
  deviceRegistry: iotHubDeviceRegistryPermissions,
  notifiers: communicationNotifierPermissions,
  database: [],
};

/** What is taken of Azure's own: each does one thing, and is asked for by name or has no smaller one. */
const BUILT_IN = new Set([
  ...['AcrPull', 'AcrPush', 'Azure Event Hubs Data Sender', 'Key Vault Crypto Service Encryption User'],
  ...['Key Vault Crypto Officer', 'Key Vault Secrets Officer', 'Key Vault Secrets User'],
  ...['PostgreSQL Flexible Server Long Term Retention Backup Role', 'Reader'],
  // Of the function, whose runtime asks for these and no fewer.
  ...['Azure Service Bus Data Receiver', 'Storage Blob Data Owner'],
]);

interface Permissions {
  readonly actions: readonly string[];
  readonly data_actions: readonly string[];
}

const roles = inProd.found('azurerm_role_definition').map(({ path, is }) => ({
  path,
  reference: `azurerm_role_definition.${path.split('/').slice(1).join('_')}`,
  permissions: (is['permissions'] as readonly Permissions[])[0]!,
}));

/** Of a service, what its roles of the site's own allow, by where. */
function rightsOf(service: string): ReadonlyMap<string, ReadonlySet<string>> {
  const prefix = `platform/service-identities/${service}-`;
  const own = inProd
    .found('azurerm_role_assignment')
    .filter(({ path, is }) => path.startsWith(prefix) && is['role_definition_id'] !== undefined);
  return new Map(
    own.map(({ path, is }) => {
      const role = roles.find(({ reference }) => (is['role_definition_id'] as string).includes(reference))!;
      return [path.slice(prefix.length), new Set([...role.permissions.actions, ...role.permissions.data_actions])];
    }),
  );
}

describe('what a service may do', () => {
  it.each(Object.entries(SERVICE_PORTS))(
    '%s: what the adapters of its ports declare, and nothing else',
    (service, ports) => {
      const declared = ports.flatMap((port) =>
        DECLARED[port].filter(({ isForVerification }) => !isForVerification).flatMap(({ actions }) => actions),
      );
      const allowed = [...rightsOf(service).values()].flatMap((actions) => [...actions]);
      expect(new Set(allowed)).toEqual(new Set(declared));
    },
  );

  it('is on the streams, containers, vault and hub of the site, each by itself', () => {
    const streams = ['metrics', 'raw-waveform', 'features', 'windows', 'inference-results', 'alarms'];
    expect([...rightsOf('timeseries-service').keys()].toSorted()).toEqual(
      [...streams.map((name) => `event-hub-${name}`), 'container-checkpoints', 'container-objects'].toSorted(),
    );
    expect([...rightsOf('api-gateway').keys()]).toEqual(expect.arrayContaining(['vault', 'hub', 'resource']));
  });

  it('is to read what devices sent, and not to send as one', () => {
    expect(rightsOf('ingestion-service').get('event-hub-devices')).toEqual(
      new Set(['Microsoft.EventHub/namespaces/messages/receive/action']),
    );
  });

  it('is never to write the password of the database and the key of the links, which each may read', () => {
    const onKeys = inProd
      .found('azurerm_role_assignment')
      .filter(({ is }) => /key_vault_secret(database_password|link-key)/.test(is['scope'] as string));
    expect(onKeys.map(({ is }) => is['role_definition_name'])).toEqual(onKeys.map(() => 'Key Vault Secrets User'));
    expect(onKeys).toHaveLength(2 * Object.keys(SERVICE_PORTS).length);
  });
});

describe('roles', () => {
  it.each(roles)('$path: no action is a pattern', ({ permissions: { actions, data_actions: data } }) => {
    expect([...actions, ...data].filter((action) => action.includes('*'))).toEqual([]);
    expect(actions.length + data.length).toBeGreaterThan(0);
  });

  it('are given on something of the site, and never on the subscription', () => {
    // A name that is one of all the world's has a digest of the subscription's id.
    const scopes = inProd
      .of('azurerm_role_assignment')
      .map(({ scope }) => (scope as string).replaceAll(/\$\{substr\(sha256\([^}]*\)\), 0, 8\)\}/g, '<digest>'));
    expect(scopes.length).toBeGreaterThan(0);
    for (const scope of scopes) {
      expect(scope).toMatch(
        /^\$\{(.*(\.id|id|resource_versionless_id)|element\(\["\$\{azurerm_resource_group\.[\w-]+\.id\}\/providers\/[\w.]+\/[\w/]+[\w-]+<digest>", .*\.id\], 0\))\}$/,
      );
      expect(scope).not.toMatch(/subscription/);
    }
  });

  it("of Azure's own are those that are known here", () => {
    const names = inProd
      .of('azurerm_role_assignment')
      .flatMap(({ role_definition_name: name }) => (name === undefined ? [] : [name]));
    expect(names.filter((name) => !BUILT_IN.has(name as string))).toEqual([]);
  });

  it('of the pipeline: to push images and to roll services', () => {
    const [rolls] = roles.filter(({ path }) => path.endsWith('rolls-role'));
    expect(rolls!.permissions.data_actions).toEqual([]);
    expect(rolls!.permissions.actions).toContain('Microsoft.App/containerApps/write');
    expect(rolls!.permissions.actions.filter((action) => /roleAssignments|secrets|delete/i.test(action))).toEqual([]);
  });
});

describe('what is made of what an adapter declares', () => {
  const send = 'Microsoft.EventHub/namespaces/messages/send/action';
  const grants: readonly Grant[] = [
    { actions: [send], on: 'event hubs <streams>' },
    { actions: ['Microsoft.Devices/IotHubs/devices/read'], on: 'hub <host>' },
    { actions: ['Microsoft.Storage/x/blobs/read'], on: 'container <absent>' },
    { actions: ['Microsoft.Storage/x/blobs/write'], on: 'container <container>', isForVerification: true },
  ];
  const addresses = {
    'event hub': (name: string) => `/hubs/${name}`,
    hub: () => '/iot',
    container: (name: string) => `/containers/${name}`,
  };

  it('names each value of a setting, and leaves out what has no setting and what only tribo verify needs', () => {
    const host = Lazy.stringValue({ produce: () => 'akron.azure-devices.net' });
    const settings = { streams: { metrics: 'a', alarms: 'b' }, host, container: 'c' };
    expect(rightsFor(grants, settings, addresses)).toEqual([
      { scope: '/hubs/a', on: 'event-hub-a', actions: [send] },
      { scope: '/hubs/b', on: 'event-hub-b', actions: [send] },
      // What is known after the deployment is called by its kind.
      { scope: '/iot', on: 'hub', actions: ['Microsoft.Devices/IotHubs/devices/read'] },
    ]);
  });

  it('is refused where nobody knows of what it speaks', () => {
    expect(() => rightsFor([{ actions: [send], on: 'topic <name>' }], { name: 'a' }, addresses)).toThrow(
      'no address is known of topic <name>',
    );
  });

  it('is one of all that is on the same', () => {
    const read = { scope: '/hubs/a', on: 'event-hub-a', actions: ['b', 'a'] };
    expect(together([read, { ...read, actions: ['c', 'a'] }])).toEqual([{ ...read, actions: ['a', 'b', 'c'] }]);
  });

  it('is data, but for services that have none apart', () => {
    const mail: readonly string[] = communicationNotifierPermissions[0]!.actions;
    expect(asPermissions([send, ...mail])).toEqual({ actions: mail, dataActions: [send] });
    expect(nameOf([send, 'Microsoft.EventHub/namespaces/messages/receive/action'])).toBe('messages-send-receive');
  });
});
