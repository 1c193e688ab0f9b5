import { describe, expect, it } from '@jest/globals';
import { Names } from '../names.ts';
import { demandOf } from '../../core/decision/demand.ts';
import { SERVICE_PORTS } from '../service-ports.ts';
import { notMade, shipped, synthesized, type Attributes } from '../testing/synthesized.ts';
import { inCluster } from '../testing/variations.ts';
import { clusterName } from './resource-names.ts';

const SERVICE_COUNT = 6;
const prod = inCluster(shipped('gent.prod'));
const made = synthesized(prod, 'gcp');
const cluster = made.one('google_container_cluster', 'cluster');

describe('a cluster at Google Cloud', () => {
  it('is asked for by a switch, and made of the plan', () => {
    expect(notMade('gcp', prod)).toEqual([]);
    // But for the function, which is run for what comes.
    expect(made.found('google_cloud_run_v2_service').map(({ path }) => path)).toEqual([
      'platform/functions/sensor-data-processor',
    ]);
  });

  it('has a name that GKE takes, whatever the site is called', () => {
    const name = clusterName(new Names({ site: 'a-site-of-the-most-letters', stage: 'staging' }));
    expect(name).toMatch(/^[a-z][a-z0-9-]{0,38}[a-z0-9]$/);
    expect(cluster['name']).toBe('tribo-gent-prod-cluster');
  });

  it('promises that calls are answered, and not how soon: its balancer tells no stream of events from a call', () => {
    expect(made.of('google_monitoring_slo').map((slo) => slo['slo_id'])).toEqual(['availability']);
  });

  it('has nodes without a public address, and a control plane without any', () => {
    expect(cluster).toMatchObject({
      enable_autopilot: true,
      private_cluster_config: { enable_private_nodes: true },
      control_plane_endpoints_config: {
        dns_endpoint_config: { allow_external_traffic: true },
        ip_endpoints_config: { enabled: false },
      },
      master_auth: { client_certificate_config: { issue_client_certificate: false } },
      node_pool_auto_config: { node_kubelet_config: { insecure_kubelet_readonly_port_enabled: 'FALSE' } },
    });
  });

  it('is encrypted with the key of the site, secrets and disks, and kept at a version that is supported', () => {
    const key = expect.stringContaining('google_kms_crypto_key') as unknown;
    expect(cluster).toMatchObject({
      database_encryption: { state: 'ENCRYPTED', key_name: key },
      cluster_autoscaling: { auto_provisioning_defaults: { boot_disk_kms_key: key } },
      release_channel: { channel: 'REGULAR' },
    });
    const users = made.one('google_kms_crypto_key_iam_binding', 'key/users')['members'];
    expect(users).toContainEqual(expect.stringContaining('@container-engine-robot.iam.gserviceaccount.com'));
    expect(made.of('google_project_service').map(({ service }) => service)).toContain('container.googleapis.com');
  });

  it('has pods and names of services in ranges of the environment, which brokers let in', () => {
    expect(made.one('google_compute_subnetwork', 'network/services')['secondary_ip_range']).toEqual([
      { range_name: 'pods', ip_cidr_range: '10.200.0.0/16' },
      { range_name: 'services', ip_cidr_range: '10.201.0.0/20' },
    ]);
    expect(cluster['ip_allocation_policy']).toEqual({
      cluster_secondary_range_name: 'pods',
      services_secondary_range_name: 'services',
    });
    expect(made.one('google_compute_firewall', 'device-gateway/firewall/platform')['source_ranges']).toContain(
      '10.200.0.0/16',
    );
  });

  it('lets every service ask for names: of its node, of the metadata server, and of the pods that answer', () => {
    const policies = made.found('kubernetes_network_policy_v1').filter(({ path }) => !path.endsWith('/nothing'));
    expect(policies.length).toBe(SERVICE_COUNT);
    const answering = (app: string) => ({
      namespace_selector: { match_labels: { 'kubernetes.io/metadata.name': 'kube-system' } },
      pod_selector: { match_labels: { 'k8s-app': app } },
    });
    for (const { is } of policies) {
      const { egress } = is['spec'] as { readonly egress: readonly Attributes[] };
      for (const protocol of ['UDP', 'TCP'])
        expect(
          egress
            .filter(({ ports }) => JSON.stringify(ports) === JSON.stringify([{ port: '53', protocol }]))
            .flatMap(({ to }) => to),
        ).toEqual([
          { ip_block: { cidr: '169.254.169.254/32' } },
          { ip_block: { cidr: '169.254.20.10/32' } },
          answering('kube-dns'),
          answering('node-local-dns'),
        ]);
    }
  });

  it('is let out to itself, and is called by the front ends of Google at the port of the API alone', () => {
    expect(made.one('google_compute_firewall', 'services/firewall/within')).toMatchObject({
      direction: 'EGRESS',
      destination_ranges: expect.arrayContaining(['10.200.0.0/16']),
      target_tags: ['tribo-gent-prod-services'],
    });
    expect(made.one('google_compute_firewall', 'services/firewall/to-api')).toMatchObject({
      direction: 'INGRESS',
      source_ranges: ['35.191.0.0/16', '130.211.0.0/22'],
      allow: [{ protocol: 'tcp', ports: ['8080'] }],
      target_tags: ['tribo-gent-prod-services'],
    });
    expect(cluster['node_pool_auto_config']).toMatchObject({ network_tags: { tags: ['tribo-gent-prod-services'] } });
  });

  it('has nodes that fetch images, and may do nothing that services may', () => {
    const given = made.resources
      .filter(({ path }) => path.startsWith('platform/services/nodes-'))
      .map(({ is }) => is['role']);
    expect(new Set(given)).toEqual(
      new Set(['roles/container.defaultNodeServiceAccount', 'roles/artifactregistry.reader']),
    );
  });
});

describe('a service in a cluster at Google Cloud', () => {
  it.each(Object.keys(SERVICE_PORTS))('%s is its own account, and no other ServiceAccount is', (service) => {
    expect(made.one('google_service_account_iam_member', `services/${service}-is`)).toMatchObject({
      role: 'roles/iam.workloadIdentityUser',
      member: `serviceAccount:\${data.google_project.project.project_id}.svc.id.goog[tribo-gent-prod/${service}]`,
      service_account_id: expect.stringContaining(service),
    });
    const { metadata } = made.one('kubernetes_service_account_v1', `${service}/account`);
    expect(metadata).toMatchObject({
      name: service,
      annotations: { 'iam.gke.io/gcp-service-account': expect.stringContaining(service) },
    });
  });

  it.each(Object.entries(SERVICE_PORTS))('%s finds the secrets that it may read, and no others', (service, ports) => {
    const { manifest } = made.one('kubernetes_manifest', `services/${service}-secrets`) as {
      readonly manifest: {
        readonly spec: { readonly provider: string; readonly parameters: { readonly secrets: string } };
      };
    };
    expect(manifest.spec.provider).toBe('gke');
    const files = [...manifest.spec.parameters.secrets.matchAll(/"path":"([^"]+)"/g)].map(([, file]) => file);
    const ofGateway = ports.includes('deviceGateway') ? ['ca.pem', 'gateway.pem', 'gateway.key'] : [];
    expect(files).toEqual(['database-password', 'link-key', ...ofGateway]);
    const mayRead = made
      .found('google_secret_manager_secret_iam_member')
      .filter(({ path }) => path.startsWith(`platform/service-identities/${service}-`));
    expect(mayRead).toHaveLength(files.length);
  });

  it('that speaks to brokers has one copy, which stops before another starts: they know the platform by one name', () => {
    const { spec } = made.one('kubernetes_deployment_v1', 'ingestion-service/deployment') as {
      readonly spec: Attributes;
    };
    expect(spec).toMatchObject({ replicas: '1', strategy: { type: 'Recreate' } });
    const strategies = made.found('kubernetes_deployment_v1').map(({ path, is }) => {
      const { strategy } = is['spec'] as { readonly strategy: Attributes };
      return [path.split('/').at(-2), strategy['type']];
    });
    expect(strategies.filter(([, type]) => type === 'Recreate')).toEqual([['ingestion-service', 'Recreate']]);
  });

  it('grows by copies where more than one works at a time', () => {
    const scaled = made.found('kubernetes_horizontal_pod_autoscaler_v2').map(({ path }) => path.split('/').at(-2));
    const alone = demandOf(prod).services.filter(({ isAlone }) => isAlone);
    expect(alone.length).toBeGreaterThan(0);
    const one = ['ingestion-service', ...alone.map(({ service }) => service)];
    expect(scaled.sort()).toEqual(
      Object.keys(SERVICE_PORTS)
        .filter((service) => !one.includes(service))
        .sort(),
    );
  });
});

describe('the way to an API in a cluster at Google Cloud', () => {
  const manifest = (called: string) =>
    made.one('kubernetes_manifest', `ingress/${called}`)['manifest'] as {
      readonly kind: string;
      readonly spec: Attributes;
      readonly metadata: Attributes;
    };

  it('is a Gateway with the address and the certificate of the platform, TLS of its policy, and the API behind it alone', () => {
    const gateway = manifest('api-gateway');
    expect(gateway.spec).toMatchObject({
      gatewayClassName: 'gke-l7-global-external-managed',
      addresses: [{ type: 'NamedAddress', value: expect.stringContaining('google_compute_global_address') }],
    });
    expect(gateway.metadata['annotations']).toEqual({
      'networking.gke.io/certmap': expect.stringContaining('google_certificate_manager_certificate_map'),
    });
    expect(manifest('api-gateway-tls').spec).toMatchObject({
      default: { sslPolicy: expect.stringContaining('google_compute_ssl_policy') },
    });
    expect(manifest('api-gateway-https').spec).toMatchObject({
      hostnames: ['tribo.gent.example'],
      rules: [{ backendRefs: [{ name: 'api-gateway', port: 8080 }] }],
    });
  });

  it('leads through the firewall, and to TLS whoever comes without', () => {
    expect(manifest('api-gateway-backend').spec).toMatchObject({
      default: {
        securityPolicy: expect.stringContaining('google_compute_security_policy'),
        logging: { enabled: true, sampleRate: 1_000_000 },
      },
      targetRef: { kind: 'Service', name: 'api-gateway' },
    });
    expect(manifest('api-gateway-http').spec).toMatchObject({
      rules: [{ filters: [{ type: 'RequestRedirect', requestRedirect: { scheme: 'https', statusCode: 301 } }] }],
    });
  });
});

describe('what is in the cluster', () => {
  it('has a state of its own, and is reached by a name and no token that is kept', () => {
    expect(made.json.services!.provider['kubernetes']).toEqual([
      {
        host: expect.stringMatching(/^https:\/\/.*dns_endpoint_config/),
        exec: [
          {
            api_version: 'client.authentication.k8s.io/v1beta1',
            command: 'gke-gcloud-auth-plugin',
            args: ['--use_application_default_credentials'],
          },
        ],
        ignore_annotations: expect.any(Array),
      },
    ]);
    expect(made.resources.filter(({ type }) => type === 'kubernetes_deployment_v1').map(({ stack }) => stack)).toEqual(
      Array.from({ length: 6 }, () => 'services'),
    );
  });

  it('may be rolled by the pipeline, and looked at for that; nothing else is its', () => {
    expect(made.one('kubernetes_role_v1', 'services/roll')['rule']).toEqual([
      { api_groups: ['apps'], resources: ['deployments'], verbs: ['get', 'list', 'watch', 'patch'] },
    ]);
    expect(made.one('google_project_iam_custom_role', 'services/connect')['permissions']).toEqual([
      'container.clusters.connect',
      'container.clusters.get',
    ]);
  });

  it('is watched: CPU and memory of each service by the metrics of the cluster', () => {
    const filters = JSON.stringify(made.of('google_monitoring_alert_policy'));
    expect(filters).not.toContain('run.googleapis.com');
    for (const service of Object.keys(SERVICE_PORTS))
      expect(filters).toContain(JSON.stringify(`resource.labels.container_name="${service}"`).slice(1, -1));
    for (const service of Object.keys(SERVICE_PORTS))
      expect(JSON.stringify(made.one('google_monitoring_alert_policy', `alarms/${service}-away`))).toContain(
        'kubernetes.io/container/uptime',
      );
    const logs = String(made.one('google_logging_project_sink', 'logs/sink')['filter']);
    expect(logs).toContain('"k8s_container"');
  });
});
