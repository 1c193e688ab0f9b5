import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import type { Eventhub } from '@cdktf/provider-azurerm/lib/eventhub/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import { RoleDefinition } from '@cdktf/provider-azurerm/lib/role-definition/index.js';
import { UserAssignedIdentity } from '@cdktf/provider-azurerm/lib/user-assigned-identity/index.js';
import { azureMlModelInferencePermissions } from '../../adapters/azure/azure-ml-model-inference/permissions.ts';
import { blobObjectStorePermissions } from '../../adapters/azure/blob-object-store/permissions.ts';
import { communicationNotifierPermissions } from '../../adapters/azure/communication-notifier/permissions.ts';
import { eventHubsEventStreamPermissions } from '../../adapters/azure/event-hubs-event-stream/permissions.ts';
import { iotHubDeviceGatewayPermissions } from '../../adapters/azure/iot-hub-device-gateway/permissions.ts';
import { iotHubDeviceRegistryPermissions } from '../../adapters/azure/iot-hub-device-registry/permissions.ts';
import { keyVaultSecretStorePermissions } from '../../adapters/azure/key-vault-secret-store/permissions.ts';
import { eventHubsKafkaPermissions } from '../../adapters/kafka/kafka-event-stream/permissions.ts';
import { INFERENCE_SERVICES, SERVICE_PORTS, type CloudPort } from '../service-ports.ts';
import { isKubernetes } from '../site.ts';
import type { AzureMlModelInference } from './azure-ml-model-inference.ts';
import type { AzureStack } from './azure-stack.ts';
import type { CommunicationNotifier } from './communication-notifier.ts';
import type { DataStack } from './data-stack.ts';
import { DEVICES_HUB } from './device-hub.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { asPermissions, nameOf, rightsFor, together, type Addresses, type Right } from './grants.ts';
import { KafkaEventStream } from './kafka-event-stream.ts';
import type { AzurePorts } from './ports.ts';

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  readonly notifier: CommunicationNotifier;
  /** Undefined where the services run models themselves. */
  readonly inference: AzureMlModelInference | undefined;
  readonly ports: AzurePorts;
}

/** An identity, and what has to be there before it is of use. */
export interface ServiceIdentity {
  readonly identity: UserAssignedIdentity;
  readonly rights: readonly ITerraformDependable[];
}

const MAX_ROLE_NAME = 128;

/**
 * An identity a service, with what the adapters of its ports declare, on what the ports file names: roles of the site's own, each with just those
 * actions, as Azure's own have more. Beside them each fetches the two secrets that it starts with, and its image,
 * which the nodes of a cluster do for it.
 */
export class ServiceIdentities extends Construct {
  readonly byService: ReadonlyMap<string, ServiceIdentity>;
  readonly #stack: AzureStack;
  readonly #scopes: string[];
  readonly #roles = new Map<string, RoleDefinition>();

  constructor(scope: AzureStack, id: string, parts: Parts) {
    super(scope, id);
    this.#stack = scope;
    this.#scopes = [parts.data.resourceGroup.id, scope.resourceGroup.id];
    const { site, place } = scope;
    const byPort = rightsByPort(parts);
    this.byService = new Map(
      site.demand.services.map(({ service }) => {
        const identity = new UserAssignedIdentity(this, service, { ...place, name: site.names.of(service, 128) });
        const rights = together([
          ...SERVICE_PORTS[service]!.flatMap((port) => byPort[port]),
          ...(INFERENCE_SERVICES.includes(service) ? inferenceRights(parts) : []),
        ]);
        return [
          service,
          { identity, rights: [...this.#start(service, identity, parts), ...this.#assign(service, identity, rights)] },
        ];
      }),
    );
  }

  #start(
    service: string,
    { principalId }: UserAssignedIdentity,
    { foundation, data }: Parts,
  ): readonly RoleAssignment[] {
    const built = (part: string, scope: string, roleDefinitionName: string) =>
      new RoleAssignment(this, `${service}-${part}`, {
        scope,
        roleDefinitionName,
        ...assignedTo(principalId),
      });
    return [
      ...(isKubernetes(this.#stack.site) ? [] : [built('images', foundation.imageRegistry.registry.id, 'AcrPull')]),
      built('password', data.database.password.resourceVersionlessId, 'Key Vault Secrets User'),
      built('link-key', data.linkKey.secret.resourceVersionlessId, 'Key Vault Secrets User'),
    ];
  }

  #assign(service: string, { principalId }: UserAssignedIdentity, rights: readonly Right[]): readonly RoleAssignment[] {
    return rights.map(
      ({ scope, on, actions }) =>
        new RoleAssignment(this, `${service}-${on}`, {
          scope,
          roleDefinitionId: this.#role(actions).roleDefinitionResourceId,
          ...assignedTo(principalId),
        }),
    );
  }

  /** One of all services that may do the same. */
  #role(actions: readonly string[]): RoleDefinition {
    const name = nameOf(actions);
    const known = this.#roles.get(name);
    if (known) return known;
    const [of] = this.#scopes;
    const role = new RoleDefinition(this, `role-${name}`, {
      name: this.#stack.site.names.of(name, MAX_ROLE_NAME),
      description: `What services of ${this.#stack.site.names.base} do there`,
      scope: of!,
      assignableScopes: this.#scopes,
      permissions: [asPermissions(actions)],
    });
    this.#roles.set(name, role);
    return role;
  }
}

function assignedTo(principalId: string) {
  // New ones are not everywhere in the directory at once: the check would miss them.
  return { principalId, principalType: 'ServicePrincipal', skipServicePrincipalAadCheck: true } as const;
}

function rightsByPort({ data, notifier, ports }: Parts): Readonly<Record<CloudPort, readonly Right[]>> {
  const containers: Readonly<Record<string, string>> = {
    [ports.objectStore.container]: data.objectStore.container.id,
    [ports.deviceGateway.checkpointContainer]: data.checkpoints.container.id,
  };
  const hubs: Readonly<Record<string, Eventhub>> = { ...data.eventStream.hubs, [DEVICES_HUB]: data.deviceHub.hub };
  const addresses: Addresses = {
    'event hub': (name) => hubs[name]!.id,
    namespace: () => data.eventStream.namespace.id,
    container: (name) => containers[name]!,
    hub: () => data.iotHub.hub.id,
    vault: () => data.secretStore.vault.id,
    resource: () => notifier.serviceId,
  };
  const of = (grants: Parameters<typeof rightsFor>[0], section: object) => rightsFor(grants, { ...section }, addresses);
  return {
    eventStream:
      data.eventStream instanceof KafkaEventStream
        ? of(eventHubsKafkaPermissions, data.eventStream.section.sasl!)
        : of(eventHubsEventStreamPermissions, ports.eventStream),
    objectStore: of(blobObjectStorePermissions, ports.objectStore),
    secretStore: of(keyVaultSecretStorePermissions, ports.secretStore),
    deviceGateway: of(iotHubDeviceGatewayPermissions, ports.deviceGateway),
    deviceRegistry: of(iotHubDeviceRegistryPermissions, ports.deviceRegistry),
    notifiers: ports.notifiers.flatMap((section) => of(communicationNotifierPermissions, section)),
    // By user and password, with no right at Azure.
    database: [],
  };
}

/** None where the services run models themselves. */
function inferenceRights({ inference }: Parts): readonly Right[] {
  if (inference === undefined) return [];
  return rightsFor(
    azureMlModelInferencePermissions,
    { ...inference.section },
    { 'the endpoint of': () => inference.endpointId },
  );
}
