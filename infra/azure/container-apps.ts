import { Fn } from 'cdktf';
import { Construct } from 'constructs';
import { ContainerAppEnvironment } from '@cdktf/provider-azurerm/lib/container-app-environment/index.js';
import { ContainerApp } from '@cdktf/provider-azurerm/lib/container-app/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import { RoleDefinition } from '@cdktf/provider-azurerm/lib/role-definition/index.js';
import type { ServiceSize } from '../../core/decision/demand.ts';
import { BUSY_PERCENT, mostCopies, STOP_S } from '../copies.ts';
import { isLinkedTo, PUBLIC_SERVICE } from '../service-ports.ts';
import { API_PORT, DATA_FOLDER, LINK_KEY, LINK_PORT, serviceSettings, startCommand } from '../service-settings.ts';
import type { AzureMlModelInference } from './azure-ml-model-inference.ts';
import type { AzureStack } from './azure-stack.ts';
import type { CommunicationNotifier } from './communication-notifier.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { frontDoorOnly } from './front-door-addresses.ts';
import type { AzurePorts } from './ports.ts';
import { ServiceIdentities, type ServiceIdentity } from './service-identities.ts';
import { tiersOf } from './tiers.ts';

const PROFILE = 'Consumption';
/** As the app knows what it fetches from the vault. */
const PASSWORD = 'database-password';
const KEY_OF_LINKS = 'link-key';

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  readonly notifier: CommunicationNotifier;
  /** Undefined where the services run models themselves. */
  readonly inference: AzureMlModelInference | undefined;
  readonly ports: AzurePorts;
  /** By service. */
  readonly imageDigests: unknown;
}

/**
 * The platform's services on Container Apps: in the subnet of the services, each as an identity of its own, with as many copies as its load wants.
 * Where Front Door comes by a private link, the environment has no public address.
 */
export class ContainerApps extends Construct {
  readonly environment: ContainerAppEnvironment;
  /** By service. */
  readonly apps: ReadonlyMap<string, ContainerApp>;

  constructor(scope: AzureStack, id: string, parts: Parts) {
    super(scope, id);
    const { site, place } = scope;
    const { foundation } = parts;
    const { isPrivate } = tiersOf(site);
    this.environment = new ContainerAppEnvironment(this, 'environment', {
      ...place,
      name: site.names.of('services', 32),
      infrastructureSubnetId: foundation.network.subnets.services.id,
      // Azure would choose a name itself, and the provider would make the environment anew for that at each run.
      infrastructureResourceGroupName: site.names.of('environment', 90),
      internalLoadBalancerEnabled: isPrivate,
      publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled',
      zoneRedundancyEnabled: site.zones > 1,
      logsDestination: 'azure-monitor',
      // With a profile alone the way out is the subnet's own.
      workloadProfile: [{ name: PROFILE, workloadProfileType: PROFILE }],
    });
    foundation.logs.of(this, this.environment.id, ['ContainerAppConsoleLogs', 'ContainerAppSystemLogs']);
    const identities = new ServiceIdentities(scope, 'service-identities', parts);
    this.apps = new Map(
      site.demand.services.map((size) => {
        const { service } = size;
        const { loginServer } = foundation.imageRegistry.registry;
        const image = `${loginServer}/${service}@${Fn.lookup(parts.imageDigests, service) as string}`;
        return [service, this.#app(scope, parts, { size, image, as: identities.byService.get(service)! })];
      }),
    );
    if (!isPrivate) this.api.addOverride('ingress.dynamic', frontDoorOnly(this));
    this.#rolledBy(scope, foundation.ciIdentity.principalId);
  }

  /** The one that answers people and programs. */
  get api(): ContainerApp {
    return this.apps.get(PUBLIC_SERVICE)!;
  }

  #app(
    stack: AzureStack,
    { foundation, data, ports }: Parts,
    { size, image, as }: { readonly size: ServiceSize; readonly image: string; readonly as: ServiceIdentity },
  ): ContainerApp {
    const { service, vcpu, memoryGb, copies } = size;
    const { identity, rights } = as;
    const settings: Readonly<Record<string, string>> = {
      // An app is found by its own name, by all of its environment.
      ...serviceSettings(stack.site, service, (other) => other),
      // The environment leads to an app by a name of its own, by which Front Door asks.
      ...(service === PUBLIC_SERVICE && { TRIBO_HOST_NAMES: `${service}.${this.environment.defaultDomain}` }),
      // Of the identities that a container may have, the one that the SDKs ask for.
      AZURE_CLIENT_ID: identity.clientId,
      TRIBO_PORTS: Fn.jsonencode(ports),
    };
    return new ContainerApp(this, service, {
      name: service,
      resourceGroupName: stack.place.resourceGroupName,
      containerAppEnvironmentId: this.environment.id,
      workloadProfileName: PROFILE,
      revisionMode: 'Single',
      maxInactiveRevisions: 10,
      identity: { type: 'UserAssigned', identityIds: [identity.id] },
      registry: [{ server: foundation.imageRegistry.registry.loginServer, identity: identity.id }],
      secret: [
        { name: PASSWORD, identity: identity.id, keyVaultSecretId: data.database.password.versionlessId },
        { name: KEY_OF_LINKS, identity: identity.id, keyVaultSecretId: data.linkKey.secret.versionlessId },
      ],
      template: {
        minReplicas: copies,
        maxReplicas: mostCopies(size),
        terminationGracePeriodSeconds: STOP_S,
        container: [
          {
            name: service,
            image,
            command: [...startCommand(service)],
            cpu: vcpu,
            memory: `${memoryGb}Gi`,
            env: [
              ...Object.entries(settings).map(([name, value]) => ({ name, value })),
              { name: 'PGPASSWORD', secretName: PASSWORD },
              { name: LINK_KEY, secretName: KEY_OF_LINKS },
            ],
            volumeMounts: [{ name: 'data', path: DATA_FOLDER }],
            ...(service === PUBLIC_SERVICE && probes()),
          },
        ],
        volume: [{ name: 'data', storageType: 'EmptyDir' }],
        customScaleRule: [
          { name: 'cpu', customRuleType: 'cpu', metadata: { type: 'Utilization', value: String(BUSY_PERCENT) } },
        ],
      },
      ...ingressOf(service),
      dependsOn: [...rights],
    });
  }

  /** The pipeline's: to roll an app, and to have it be who it is. */
  #rolledBy({ site: { names, environment }, resourceGroup }: AzureStack, principalId: string): void {
    const role = new RoleDefinition(this, 'rolls-role', {
      name: names.of('rolls-services', 128),
      description: `Rolls services of ${names.base} in ${environment.stage}`,
      scope: resourceGroup.id,
      assignableScopes: [resourceGroup.id],
      permissions: [
        {
          actions: [
            ...['Microsoft.App/containerApps/read', 'Microsoft.App/containerApps/write'],
            ...['Microsoft.App/containerApps/revisions/read', 'Microsoft.App/managedEnvironments/read'],
            'Microsoft.App/managedEnvironments/join/action',
            'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action',
          ],
          dataActions: [],
        },
      ],
    });
    new RoleAssignment(this, 'rolls', {
      scope: resourceGroup.id,
      roleDefinitionId: role.roleDefinitionResourceId,
      principalId,
      principalType: 'ServicePrincipal',
      skipServicePrincipalAadCheck: true,
    });
  }
}

/** Whoever answers people and programs does so beyond the environment: whether beyond the network, the environment says. Others are linked to. */
function ingressOf(service: string) {
  const trafficWeight = [{ latestRevision: true, percentage: 100 }];
  if (service === PUBLIC_SERVICE)
    // TLS ends at the environment's own balancer, which nobody but Front Door reaches.
    return {
      ingress: {
        externalEnabled: true,
        targetPort: API_PORT,
        transport: 'http',
        allowInsecureConnections: false,
        trafficWeight,
      },
    };
  if (!isLinkedTo(service)) return {};
  // Passed on as it is: TLS is ended by the service itself.
  const link = { externalEnabled: false, transport: 'tcp', targetPort: LINK_PORT, exposedPort: LINK_PORT };
  return { ingress: { ...link, trafficWeight } };
}

function probes() {
  const probe = { transport: 'HTTP', port: API_PORT, timeout: 5, failureCountThreshold: 3 };
  return {
    startupProbe: [{ ...probe, path: '/health/live', intervalSeconds: 5, failureCountThreshold: 10 }],
    livenessProbe: [{ ...probe, path: '/health/live', intervalSeconds: 30 }],
    readinessProbe: [{ ...probe, path: '/health/live', intervalSeconds: 10, successCountThreshold: 1 }],
  };
}
