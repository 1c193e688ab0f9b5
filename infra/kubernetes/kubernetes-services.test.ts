import { describe, expect, it } from '@jest/globals';
import type { Cloud } from '../../core/decision/cloud.ts';
import { demandOf } from '../../core/decision/demand.ts';
import { isLinkedTo, SERVICE_LINKS } from '../service-ports.ts';
import { changed, shipped, synthesized, type Attributes, type Synthesized } from '../testing/synthesized.ts';
import { inCluster } from '../testing/variations.ts';

const prod = inCluster(shipped('gent.prod'));
const services = demandOf(prod).services;
/** By the clouds whose cluster is made: what is the same at each of them. */
const CLUSTERS: readonly (readonly [cloud: Cloud, stacks: Synthesized])[] = (['aws', 'azure', 'gcp'] as const).map(
  (cloud) => [cloud, synthesized(prod, cloud)],
);
/** How the repository of a service ends: of AWS its address is known once it is made. */
const repositoryOf = {
  aws: (service: string) => `aws_ecr_repositoryimage-registry_${service}_[0-9A-F]{8}repository_url\\}`,
  azure: (service: string) => `login_server\\}/${service}`,
  gcp: (service: string) => `/${service}`,
} as const;
/** By what its services are called anywhere, always by TLS: Azure's speak AMQP too. */
const TLS_PORTS: Readonly<Record<Cloud, readonly string[]>> = { aws: ['443'], azure: ['443', '5671'], gcp: ['443'] };
/** What a cloud wants to be told of the namespace. */
const NAMESPACE_LABELS: Readonly<Partial<Record<Cloud, Attributes>>> = {
  aws: { 'eks.amazonaws.com/pod-readiness-gate-inject': 'enabled' },
};

interface PodSpec extends Attributes {
  readonly container: readonly [Attributes & { readonly env: readonly Attributes[]; readonly args: readonly string[] }];
}

function podOf(stacks: Synthesized, service: string): PodSpec {
  const { spec } = stacks.one('kubernetes_deployment_v1', `${service}/deployment`) as {
    readonly spec: { readonly template: { readonly spec: PodSpec } };
  };
  return spec.template.spec;
}

function specOf(stacks: Synthesized, type: string, path: string): Attributes {
  return stacks.one(type, path)['spec'] as Attributes;
}

describe.each(CLUSTERS)('services in a cluster at %s', (cloud, stacks) => {
  it('are in a namespace that lets nothing run which could leave its container', () => {
    const { metadata } = stacks.one('kubernetes_namespace_v1', 'services/namespace');
    expect(metadata).toEqual({
      name: 'tribo-gent-prod',
      labels: {
        'pod-security.kubernetes.io/enforce': 'restricted',
        'pod-security.kubernetes.io/audit': 'restricted',
        'pod-security.kubernetes.io/warn': 'restricted',
        ...NAMESPACE_LABELS[cloud],
      },
    });
  });

  it.each(services)(
    '$service: not root, nothing to write to but memory, no privilege, no token of the cluster',
    ({ service }) => {
      const pod = podOf(stacks, service);
      expect(pod).toMatchObject({
        service_account_name: service,
        automount_service_account_token: false,
        enable_service_links: false,
        security_context: {
          run_as_non_root: true,
          run_as_user: '1000',
          run_as_group: '1000',
          seccomp_profile: { type: 'RuntimeDefault' },
        },
      });
      for (const shared of ['host_network', 'host_pid', 'host_ipc']) expect(pod[shared]).toBeUndefined();
      expect(pod.container).toEqual([
        expect.objectContaining({
          image: expect.stringMatching(
            new RegExp(`${repositoryOf[cloud](service)}@\\$\\{var\\.image_digests\\["${service}"\\]\\}$`),
          ),
          security_context: {
            allow_privilege_escalation: false,
            capabilities: { drop: ['ALL'] },
            privileged: false,
            read_only_root_filesystem: true,
            run_as_non_root: true,
            seccomp_profile: { type: 'RuntimeDefault' },
          },
        }),
      ]);
      expect(pod['volume']).toEqual([
        { name: 'data', empty_dir: { medium: 'Memory', size_limit: '64Mi' } },
        { name: 'secrets', csi: expect.objectContaining({ read_only: true }) },
      ]);
    },
  );

  it.each(services)('$service: asks for what the plan gives it, and gets no more', ({ service, vcpu, memoryGb }) => {
    const size = { cpu: `${vcpu * 1000}m`, memory: `${memoryGb * 1024}Mi`, 'ephemeral-storage': '1Gi' };
    expect(podOf(stacks, service).container[0]['resources']).toEqual({ requests: size, limits: size });
  });

  it.each(services)(
    '$service: is asked whether it started and lives, and stops later than it is called',
    ({ service }) => {
      const pod = podOf(stacks, service);
      const asked =
        service === 'api-gateway'
          ? { http_get: { path: '/health/live', port: '8080' } }
          : { exec: { command: ['node', 'services/shared/process/check-health.ts', '8081'] } };
      for (const probe of ['startup_probe', 'liveness_probe', 'readiness_probe'])
        expect(pod.container[0][probe]).toMatchObject(asked);
      expect(pod.container[0]['lifecycle']).toEqual({ pre_stop: [{ exec: { command: ['sleep', '15'] } }] });
      expect(pod['termination_grace_period_seconds']).toBe(75);
    },
  );

  it('have no secret in what is written: they are files, mounted by reference', () => {
    for (const { service } of services) {
      const { env } = podOf(stacks, service).container[0];
      expect(env.map(({ name }) => name)).not.toEqual(expect.arrayContaining(['PGPASSWORD']));
      expect(env).not.toEqual(expect.arrayContaining([expect.objectContaining({ name: 'TRIBO_LINK_KEY' })]));
      expect(env).toContainEqual({ name: 'TRIBO_LINK_KEY_FILE', value: '/etc/tribo/secrets/link-key' });
    }
    expect(stacks.resources.map(({ type }) => type)).not.toContain('kubernetes_secret_v1');
  });

  it('call each other by a name with an address for each copy', () => {
    for (const [service, called] of Object.entries(SERVICE_LINKS)) {
      const addresses = podOf(stacks, service).container[0].env.find(({ name }) => name === 'TRIBO_LINK_ADDRESSES');
      expect(addresses?.['value'] ?? '').toBe(
        called.map((each) => `${each}=${each}.tribo-gent-prod.svc.cluster.local:9443`).join(','),
      );
    }
    for (const { service } of services.filter((each) => isLinkedTo(each.service)))
      expect(specOf(stacks, 'kubernetes_service_v1', `${service}/service`)).toMatchObject({
        cluster_ip: 'None',
        selector: { app: service },
        port: [{ name: 'links', port: 9443 }],
      });
  });

  it('let through what links are declared, the balancer to the API, and nothing else', () => {
    expect(specOf(stacks, 'kubernetes_network_policy_v1', 'network/nothing')).toEqual({
      pod_selector: {},
      policy_types: ['Ingress', 'Egress'],
    });
    for (const { service } of services) {
      const { ingress = [], egress } = specOf(stacks, 'kubernetes_network_policy_v1', `network/${service}`) as {
        readonly ingress?: readonly { readonly from: readonly Attributes[]; readonly ports: readonly Attributes[] }[];
        readonly egress: readonly { readonly to: readonly Attributes[]; readonly ports: readonly Attributes[] }[];
      };
      const callers = Object.keys(SERVICE_LINKS).filter((caller) => SERVICE_LINKS[caller]!.includes(service));
      expect(ingress.filter(({ ports }) => ports[0]!['port'] === '9443').flatMap(({ from }) => from)).toEqual(
        callers.map((caller) => ({ pod_selector: { match_labels: { app: caller } } })),
      );
      const others = ingress.filter(({ ports }) => ports[0]!['port'] !== '9443');
      expect(others.map(({ ports }) => ports)).toEqual(
        service === 'api-gateway' ? [[{ port: '8080', protocol: 'TCP' }]] : [],
      );
      expect(egress.filter(({ ports }) => ports[0]!['port'] === '9443').flatMap(({ to }) => to)).toEqual(
        SERVICE_LINKS[service]!.map((called) => ({ pod_selector: { match_labels: { app: called } } })),
      );
      for (const { to, ports } of egress) {
        expect(ports.length).toBeGreaterThan(0);
        // Anywhere is by TLS alone.
        if (JSON.stringify(to).includes('0.0.0.0/0'))
          expect(ports).toEqual(TLS_PORTS[cloud].map((port) => ({ port, protocol: 'TCP' })));
      }
    }
  });

  it('are as many as their load wants, of which one at a time may be away', () => {
    for (const { service } of services)
      expect(specOf(stacks, 'kubernetes_pod_disruption_budget_v1', `${service}/disruptions`)).toMatchObject({
        max_unavailable: '1',
        selector: { match_labels: { app: service } },
      });
    for (const { is } of stacks.found('kubernetes_horizontal_pod_autoscaler_v2')) {
      const {
        min_replicas: least,
        max_replicas: most,
        metric,
      } = is['spec'] as {
        readonly min_replicas: number;
        readonly max_replicas: number;
        readonly metric: unknown;
      };
      expect(most).toBe(least * 4);
      expect(metric).toEqual([
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', average_utilization: 60 } } },
      ]);
    }
  });
});

describe.each(CLUSTERS)('the copies of a service in a cluster at %s', (cloud) => {
  it('are those of a plan for several zones, spread over them', () => {
    const inZones = synthesized(changed(prod, { switches: { ...prod.switches, multiAz: true } }), cloud);
    expect(specOf(inZones, 'kubernetes_deployment_v1', 'api-gateway/deployment')).toMatchObject({ replicas: '2' });
    expect(podOf(inZones, 'api-gateway')['topology_spread_constraint']).toEqual([
      {
        label_selector: [{ match_labels: { app: 'api-gateway' } }],
        max_skew: 1,
        topology_key: 'topology.kubernetes.io/zone',
        when_unsatisfiable: 'ScheduleAnyway',
      },
    ]);
  });
});
