import { Fn } from 'cdktf';
import { Construct } from 'constructs';
import { ArtifactRegistryRepositoryIamMember } from '@cdktf/provider-google/lib/artifact-registry-repository-iam-member/index.js';
import { ComputeAddress } from '@cdktf/provider-google/lib/compute-address/index.js';
import { ComputeForwardingRule } from '@cdktf/provider-google/lib/compute-forwarding-rule/index.js';
import { ComputeHealthCheck } from '@cdktf/provider-google/lib/compute-health-check/index.js';
import { ComputeInstanceGroupManager } from '@cdktf/provider-google/lib/compute-instance-group-manager/index.js';
import { ComputeInstanceTemplate } from '@cdktf/provider-google/lib/compute-instance-template/index.js';
import { ComputeRegionBackendService } from '@cdktf/provider-google/lib/compute-region-backend-service/index.js';
import { ComputeRegionHealthCheck } from '@cdktf/provider-google/lib/compute-region-health-check/index.js';
import { DataGoogleComputeZones } from '@cdktf/provider-google/lib/data-google-compute-zones/index.js';
import { DnsManagedZone } from '@cdktf/provider-google/lib/dns-managed-zone/index.js';
import { DnsRecordSet } from '@cdktf/provider-google/lib/dns-record-set/index.js';
import { ProjectIamMember } from '@cdktf/provider-google/lib/project-iam-member/index.js';
import { SecretManagerSecretIamMember } from '@cdktf/provider-google/lib/secret-manager-secret-iam-member/index.js';
import { ServiceAccount } from '@cdktf/provider-google/lib/service-account/index.js';
import { brokersFor } from '../../core/decision/gcp-plan.ts';
import { SECRETS_FOLDER } from '../kubernetes/start-secrets.ts';
import { isKubernetes } from '../site.ts';
import { BrokerFirewall } from './broker-firewall.ts';
import { brokerStart, DEVICES_PORT, PLATFORM_PORT, SESSIONS_DISK } from './broker-start.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import type { GcpStack } from './gcp-stack.ts';
import type { DeviceGatewaySection } from './ports.ts';
import { serviceAccountId } from './service-account-id.ts';

/** What was priced (environments/prices/gcp.yaml). */
const MACHINE = 'e2-medium';
const IMAGE = 'projects/cos-cloud/global/images/family/cos-stable';
const DISK_GB = 10;
/** How long a broker has to come up before it is made anew. */
const START_S = 300;
const CHECK = { checkIntervalSec: 10, timeoutSec: 5, healthyThreshold: 2, unhealthyThreshold: 3 };
const TTL_S = 60;

/** Where a service has what it speaks to brokers with: a folder a file, as Cloud Run has a folder a secret. */
export const GATEWAY_FILES = {
  'ca.pem': '/etc/tribo/mqtt-authority',
  'gateway.pem': '/etc/tribo/mqtt-certificate',
  'gateway.key': '/etc/tribo/mqtt-key',
} as const;

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  /** Of Mosquitto, by digest. */
  readonly image: string;
}

/**
 * The site's own MQTT brokers. One answers at a time, as Mosquitto shares nothing with another: with several zones a second stands by in the next one,
 * and both balancers, of devices and of the platform, lead to it when the first is away. TLS ends at the broker; each keeps sessions on a disk of
 * its own, which outlives its machine.
 */
export class MqttDeviceGateway extends Construct {
  readonly section: DeviceGatewaySection;
  /** Where devices connect. */
  readonly devicesHost: string;
  readonly groupNames: readonly string[];
  readonly #stack: GcpStack;

  constructor(scope: GcpStack, id: string, parts: Parts) {
    super(scope, id);
    this.#stack = scope;
    const { names, zones, demand, environment } = scope.site;
    const { network, domain } = parts.foundation;
    const account = this.#account(parts);
    new BrokerFirewall(this, 'firewall', scope, { network, brokers: account.email });
    const groups = this.#groups(parts, account, brokersFor(demand, zones));
    this.groupNames = groups.map(({ nameInput }) => nameInput!);
    const address = new ComputeAddress(this, 'address', {
      name: names.of('mqtt', 63),
      region: scope.site.region,
      addressType: 'EXTERNAL',
      networkTier: 'PREMIUM',
    });
    const check = new ComputeRegionHealthCheck(this, 'answers', {
      name: names.of('mqtt', 63),
      region: scope.site.region,
      ...CHECK,
      tcpHealthCheck: { port: DEVICES_PORT },
    });
    new ComputeForwardingRule(this, 'devices', {
      name: names.of('mqtt', 63),
      region: scope.site.region,
      loadBalancingScheme: 'EXTERNAL',
      networkTier: 'PREMIUM',
      ipAddress: address.address,
      ipProtocol: 'TCP',
      portRange: String(DEVICES_PORT),
      backendService: this.#backend('EXTERNAL', groups, check).id,
    });
    const inside = new ComputeForwardingRule(this, 'platform', {
      name: names.of('mqtt-platform', 63),
      region: scope.site.region,
      loadBalancingScheme: 'INTERNAL',
      network: network.vpc.id,
      subnetwork: network.brokers.id,
      ipProtocol: 'TCP',
      ports: [String(PLATFORM_PORT)],
      backendService: this.#backend('INTERNAL', groups, check).id,
    });
    this.devicesHost = `mqtt.${environment.domain}`;
    new DnsRecordSet(this, 'devices-name', {
      managedZone: domain.zone,
      name: `${this.devicesHost}.`,
      type: 'A',
      ttl: TTL_S,
      rrdatas: [address.address],
    });
    this.section = {
      url: `mqtts://${this.#privateName(network.vpc.id, inside.ipAddress)}:${PLATFORM_PORT}`,
      devicesUrl: `mqtts://${this.devicesHost}:${DEVICES_PORT}`,
      clientId: names.of('gateway', 64),
      caFile: this.#file('ca.pem'),
      certificateFile: this.#file('gateway.pem'),
      keyFile: this.#file('gateway.key'),
    };
  }

  #file(name: keyof typeof GATEWAY_FILES): string {
    return `${isKubernetes(this.#stack.site) ? SECRETS_FOLDER : GATEWAY_FILES[name]}/${name}`;
  }

  /** Brokers fetch their image and their certificates, and say what they do; nothing else. */
  #account({ foundation, data }: Parts): ServiceAccount {
    const { names } = this.#stack.site;
    const account = new ServiceAccount(this, 'account', {
      accountId: serviceAccountId(names, 'broker'),
      displayName: `${names.base}: MQTT brokers`,
    });
    const { member } = account;
    new ArtifactRegistryRepositoryIamMember(this, 'image', {
      location: foundation.imageRegistry.location,
      repository: foundation.imageRegistry.repository.name,
      role: 'roles/artifactregistry.reader',
      member,
    });
    for (const [file, { secretId }] of data.brokerCertificates.brokers)
      new SecretManagerSecretIamMember(this, `reads-${file.replace('.', '-')}`, {
        secretId,
        role: 'roles/secretmanager.secretAccessor',
        member,
      });
    for (const role of ['roles/logging.logWriter', 'roles/monitoring.metricWriter'])
      new ProjectIamMember(this, role.split('/')[1]!.replace('.', '-'), {
        project: this.#stack.project,
        role,
        member,
      });
    return account;
  }

  #groups(parts: Parts, account: ServiceAccount, count: number): readonly ComputeInstanceGroupManager[] {
    const { names, region } = this.#stack.site;
    const zones = new DataGoogleComputeZones(this, 'zones', { region });
    const template = this.#template(parts, account);
    const healing = new ComputeHealthCheck(this, 'lives', {
      name: names.of('broker', 63),
      ...CHECK,
      unhealthyThreshold: 6,
      tcpHealthCheck: { port: DEVICES_PORT },
    });
    return Array.from({ length: count }, (_, index) => {
      const name = names.of(`broker-${index}`, 58);
      return new ComputeInstanceGroupManager(this, `broker-${index}`, {
        name,
        baseInstanceName: name,
        zone: Fn.element(zones.names, index) as string,
        // A broker stays where its disk of sessions is, whichever zones the region has at the next plan.
        lifecycle: { ignoreChanges: ['zone'] },
        targetSize: 1,
        version: [{ instanceTemplate: template.selfLinkUnique }],
        statefulDisk: [{ deviceName: SESSIONS_DISK, deleteRule: 'NEVER' }],
        autoHealingPolicies: { healthCheck: healing.id, initialDelaySec: START_S },
        // There is one of its name and disk: it goes before the next comes.
        updatePolicy: {
          type: 'PROACTIVE',
          minimalAction: 'REPLACE',
          replacementMethod: 'RECREATE',
          maxSurgeFixed: 0,
          maxUnavailableFixed: 1,
        },
      });
    });
  }

  #template({ foundation, data, image }: Parts, account: ServiceAccount): ComputeInstanceTemplate {
    const { names, region } = this.#stack.site;
    const { key, network } = foundation;
    const encrypted = { diskEncryptionKey: { kmsKeySelfLink: key.keyName }, diskSizeGb: DISK_GB };
    const secrets = [...data.brokerCertificates.brokers].map(([file, { fullName }]) => [file, fullName] as const);
    return new ComputeInstanceTemplate(this, 'machine', {
      namePrefix: `${names.of('broker', 36)}-`,
      region,
      machineType: MACHINE,
      canIpForward: false,
      disk: [
        { ...encrypted, boot: true, autoDelete: true, sourceImage: IMAGE, diskType: 'pd-balanced' },
        { ...encrypted, boot: false, autoDelete: false, deviceName: SESSIONS_DISK, diskType: 'pd-ssd' },
      ],
      // Without an access configuration it has no public address.
      networkInterface: [{ subnetwork: network.brokers.id }],
      serviceAccount: { email: account.email, scopes: ['cloud-platform'] },
      shieldedInstanceConfig: { enableSecureBoot: true, enableVtpm: true, enableIntegrityMonitoring: true },
      metadata: {
        'user-data': brokerStart({ image, registry: foundation.imageRegistry.host, secrets: new Map(secrets) }),
        'block-project-ssh-keys': 'true',
        'enable-oslogin': 'true',
        'serial-port-enable': 'false',
        'google-logging-enabled': 'true',
      },
      lifecycle: { createBeforeDestroy: true },
    });
  }

  /** TCP, passed through. The first group answers, the others when it is away. */
  #backend(
    loadBalancingScheme: 'EXTERNAL' | 'INTERNAL',
    groups: readonly ComputeInstanceGroupManager[],
    check: ComputeRegionHealthCheck,
  ): ComputeRegionBackendService {
    const { names, region } = this.#stack.site;
    const part = loadBalancingScheme === 'EXTERNAL' ? 'mqtt' : 'mqtt-platform';
    return new ComputeRegionBackendService(this, `${part}-backend`, {
      name: names.of(part, 63),
      region,
      loadBalancingScheme,
      protocol: 'TCP',
      healthChecks: [check.id],
      connectionDrainingTimeoutSec: 30,
      backend: groups.map(({ instanceGroup }, index) => ({
        group: instanceGroup,
        balancingMode: 'CONNECTION',
        ...(index > 0 && { failover: true }),
      })),
      ...(groups.length > 1 && { failoverPolicy: { dropTrafficIfUnhealthy: true, failoverRatio: 0 } }),
    });
  }

  /** By which the platform reaches the broker from within the network alone; the broker's certificate has it, too. */
  #privateName(vpc: string, address: string): string {
    const { names, environment } = this.#stack.site;
    const domain = `internal.${environment.domain}`;
    const zone = new DnsManagedZone(this, 'internal', {
      name: names.of('internal', 63),
      dnsName: `${domain}.`,
      description: `Within ${names.base}`,
      visibility: 'private',
      privateVisibilityConfig: { networks: [{ networkUrl: vpc }] },
    });
    const host = `broker.${domain}`;
    new DnsRecordSet(this, 'platform-name', {
      managedZone: zone.name,
      name: `${host}.`,
      type: 'A',
      ttl: TTL_S,
      rrdatas: [address],
    });
    return host;
  }
}
