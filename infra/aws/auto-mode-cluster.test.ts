import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { planAws } from '../../core/decision/aws-plan.ts';
import { demandOf, HOURS_A_MONTH } from '../../core/decision/demand.ts';
import { loadPrices } from '../../services/shared/environments/environment-files.ts';
import { MOST_COPIES_TIMES } from '../copies.ts';
import { SERVICE_PORTS } from '../service-ports.ts';
import { changed, notMade, shipped, statementsOf, synthesized, type Attributes } from '../testing/synthesized.ts';
import { inCluster } from '../testing/variations.ts';

const shippedProd = changed(shipped('gent.prod'), { accounts: { aws: '123456789012' } });
const prod = inCluster(shippedProd);
const made = synthesized(prod, 'aws');
const asTasks = synthesized(shippedProd, 'aws');
const cluster = made.one('aws_eks_cluster', 'services/cluster');
const CLUSTER_ARN =
  'arn:${data.aws_partition.partition.partition}:eks:eu-central-1:123456789012:cluster/tribo-gent-prod';

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Attributes;
  readonly spec: Attributes;
}

function manifest(path: string): Manifest {
  return made.one('kubernetes_manifest', path)['manifest'] as Manifest;
}

describe('a cluster at AWS', () => {
  it('is asked for by a switch, and made of the plan', () => {
    expect(notMade('aws', prod)).toEqual([]);
    expect(made.resources.filter(({ type }) => type.startsWith('aws_ecs_'))).toEqual([]);
  });

  it('has a control plane that is reached from the network of the site alone', () => {
    expect(cluster).toMatchObject({
      vpc_config: { endpoint_private_access: true, endpoint_public_access: false },
      access_config: { authentication_mode: 'API' },
      kubernetes_network_config: { service_ipv4_cidr: '10.201.0.0/20' },
    });
    const into = made
      .found('aws_vpc_security_group_ingress_rule')
      .filter(({ is }) => String(is['security_group_id']).includes('cluster_security_group_id'));
    expect(into.map(({ is }) => [is['cidr_ipv4'], is['from_port'], is['to_port']])).toEqual([
      ['10.60.0.0/16', 443, 443],
    ]);
  });

  it('is in Auto Mode, made of a version in standard support, which AWS renews before that ends and no plan takes back', () => {
    expect(cluster).toMatchObject({
      version: '1.35',
      lifecycle: { ignore_changes: ['version'] },
      upgrade_policy: { support_type: 'STANDARD' },
      compute_config: { enabled: true },
      storage_config: { block_storage: { enabled: true } },
      kubernetes_network_config: { elastic_load_balancing: { enabled: true } },
      bootstrap_self_managed_addons: false,
    });
  });

  it('is encrypted with the key of the site, secrets and disks, and says all that it does in logs of the site', () => {
    const key = expect.stringContaining('aws_kms_key');
    expect(cluster).toMatchObject({
      encryption_config: { provider: { key_arn: key }, resources: ['secrets'] },
      enabled_cluster_log_types: ['api', 'audit', 'authenticator', 'controllerManager', 'scheduler'],
    });
    expect(manifest('nodes/kind').spec['ephemeralStorage']).toEqual({ size: '40Gi', kmsKeyID: key });
    const ours = [
      '/aws/eks/tribo-gent-prod/cluster',
      ...['application', 'dataplane', 'host', 'performance'].map(
        (what) => `/aws/containerinsights/tribo-gent-prod/${what}`,
      ),
    ];
    const groups = made
      .found('aws_cloudwatch_log_group')
      .map(({ is }) => is)
      .filter(({ name }) => ours.includes(String(name)));
    expect(groups.map(({ name }) => name).sort()).toEqual(ours.toSorted());
    for (const group of groups) expect(group).toMatchObject({ retention_in_days: 30, kms_key_id: key });
    const mayWrite = statementsOf(made.one('aws_kms_key', 'key/key')['policy']).find(
      ({ Sid }) => Sid === 'LogGroupsOfTheSite',
    )!.Condition!['ArnLike']!['kms:EncryptionContext:aws:logs:arn'] as readonly string[];
    for (const name of ours) expect(mayWrite).toContainEqual(expect.stringMatching(new RegExp(`:log-group:${name}$`)));
  });

  it('has nodes in the private subnets, of the kind and number that is priced', () => {
    const { spec } = manifest('nodes/kind');
    expect(spec['subnetSelectorTerms']).toEqual([{ id: expect.stringMatching(/network_services-0/) }]);
    expect(spec['tags']).toMatchObject({ Deployment: 'tribo-gent-prod', Tenant: 'textiel' });
    const pool = manifest('nodes/pool').spec as {
      readonly template: { readonly spec: { readonly requirements: readonly Attributes[] } };
      readonly limits: { readonly cpu: string };
    };
    const wanted = new Map(pool.template.spec.requirements.map(({ key, values }) => [key, values]));
    expect(wanted.get('eks.amazonaws.com/instance-category')).toEqual(['m']);
    expect(wanted.get('karpenter.sh/capacity-type')).toEqual(['on-demand']);
    const { lines } = planAws(
      prod,
      demandOf(prod),
      loadPrices(join(import.meta.dirname, '../../environments/prices')).aws,
    );
    const nodes = lines.find(({ item }) => item === 'nodeHour')!.quantity / HOURS_A_MONTH;
    expect(Number(pool.limits.cpu)).toBe(nodes * 2 * MOST_COPIES_TIMES);
  });

  it('enforces network policies', () => {
    expect(made.one('kubernetes_config_map_v1', 'nodes/network-policies')).toMatchObject({
      metadata: { name: 'amazon-vpc-cni', namespace: 'kube-system' },
      data: { 'enable-network-policy-controller': 'true' },
    });
    expect(manifest('nodes/kind').spec['networkPolicy']).toBe('DefaultAllow');
  });

  it('has nodes that join it and fetch images, and may do nothing that services may', () => {
    const given = made
      .found('aws_iam_role_policy_attachment')
      .filter(({ path }) => path.startsWith('platform/cluster-roles/nodes-'))
      .map(({ is }) => String(is['policy_arn']).split('/').at(-1));
    expect(given.sort()).toEqual(['AmazonEC2ContainerRegistryPullOnly', 'AmazonEKSWorkerNodeMinimalPolicy']);
    expect(made.one('aws_eks_access_entry', 'services/nodes')).toMatchObject({ type: 'EC2' });
  });
});

describe('a service in a cluster at AWS', () => {
  it.each(Object.keys(SERVICE_PORTS))(
    '%s has the role that it would have as a container, and nobody else has',
    (service) => {
      const association = made.one('aws_eks_pod_identity_association', `services/${service}-is`);
      expect(association).toMatchObject({ namespace: 'tribo-gent-prod', service_account: service });
      const role = made.one('aws_iam_role', `task-roles/${service}`);
      expect(role['name']).toBe(asTasks.one('aws_iam_role', `task-roles/${service}`)['name']);
      expect(statementsOf(role['assume_role_policy'])).toEqual([
        {
          Effect: 'Allow',
          Principal: { Service: 'pods.eks.amazonaws.com' },
          Action: ['sts:AssumeRole', 'sts:TagSession'],
          Resource: [],
          Condition: {
            StringEquals: {
              'aws:RequestTag/eks-cluster-arn': CLUSTER_ARN,
              'aws:RequestTag/kubernetes-namespace': 'tribo-gent-prod',
              'aws:RequestTag/kubernetes-service-account': service,
            },
          },
        },
      ]);
      const rights = (of: typeof made) => of.one('aws_iam_role_policy', `task-roles/${service}-rights`)['policy'];
      expect(statementsOf(rights(made))).toEqual(statementsOf(rights(asTasks)));
    },
  );

  it.each(Object.keys(SERVICE_PORTS))(
    '%s finds the secrets that it starts with, which its role may read, and no others',
    (service) => {
      const { spec } = manifest(`services/${service}-secrets`);
      const parameters = spec['parameters'] as Readonly<Record<string, string>>;
      expect(spec['provider']).toBe('aws');
      expect(parameters).toMatchObject({ region: 'eu-central-1', usePodIdentity: 'true' });
      const objects = JSON.parse(parameters['objects']!) as readonly { objectAlias: string; objectName: string }[];
      expect(objects.map(({ objectAlias }) => objectAlias)).toEqual(['database-password', 'link-key']);
      const reads = statementsOf(made.one('aws_iam_role_policy', `services/${service}-starts`)['policy']);
      expect(reads.map(({ Action }) => Action)).toEqual([
        ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'],
        ['kms:Decrypt'],
      ]);
      for (const { Resource } of reads) expect(Resource.join()).not.toContain('*');
      // Another stack's outputs are the same by another name.
      const secret = (arn: string) => /aws_secretsmanager_secret\W?(\w+(?:-\w+)*?_[0-9A-F]{8})\W?arn/.exec(arn)![1];
      expect(objects.map(({ objectName }) => secret(objectName))).toEqual(reads[0]!.Resource.map(secret));
    },
  );

  it('grows by copies where more than one works at a time', () => {
    const scaled = made.found('kubernetes_horizontal_pod_autoscaler_v2').map(({ path }) => path.split('/').at(-2));
    const together = demandOf(prod).services.filter(({ isAlone }) => !isAlone);
    expect(scaled.sort()).toEqual(together.map(({ service }) => service).sort());
    expect(made.one('aws_eks_addon', 'services/load')['addon_name']).toBe('metrics-server');
  });

  it('goes to names, to who it is, to what answers its clients, and by TLS: nowhere else', () => {
    const { egress } = made.one('kubernetes_network_policy_v1', 'network/timeseries-service')['spec'] as {
      readonly egress: readonly { readonly to: unknown; readonly ports: readonly Attributes[] }[];
    };
    const to = (cidr: string) => [{ ip_block: { cidr } }];
    const inData = egress.filter(({ ports }) => ports[0]!['port'] === '5432');
    expect(inData.length).toBe(made.found('aws_subnet').filter(({ path }) => path.includes('/data-')).length);
    expect(egress.filter((rule) => !inData.includes(rule))).toEqual([
      { to: to('10.201.0.0/20'), ports: [{ port: '53', protocol: 'UDP' }] },
      { to: to('10.201.0.0/20'), ports: [{ port: '53', protocol: 'TCP' }] },
      { to: to('169.254.170.23/32'), ports: [{ port: '80', protocol: 'TCP' }] },
      { to: to('0.0.0.0/0'), ports: [{ port: '443', protocol: 'TCP' }] },
    ]);
  });
});

describe('the way to an API in a cluster at AWS', () => {
  it('is the balancer of the platform, whose targets EKS alone of this cluster takes and gives', () => {
    const { apiVersion, kind, spec } = manifest('ingress/api-gateway');
    expect([apiVersion, kind]).toEqual(['eks.amazonaws.com/v1', 'TargetGroupBinding']);
    expect(spec).toEqual({
      serviceRef: { name: 'api-gateway', port: 8080 },
      targetGroupARN: expect.stringContaining('aws_lb_target_group'),
      targetType: 'ip',
    });
    const group = made.one('aws_lb_target_group', 'ingress/api');
    expect(group).toMatchObject({ target_type: 'ip', tags: { 'eks:eks-cluster-name': 'tribo-gent-prod' } });
    expect(asTasks.one('aws_lb_target_group', 'ingress/api')['tags']).not.toHaveProperty('eks:eks-cluster-name');
  });

  it('is open to the subnets of the balancer, and to what carries the group of the API', () => {
    const { ingress } = made.one('kubernetes_network_policy_v1', 'network/api-gateway')['spec'] as {
      readonly ingress: readonly { readonly from: readonly { readonly ip_block?: { readonly cidr: string } }[] }[];
    };
    const ranges = ingress.flatMap(({ from }) => from).flatMap(({ ip_block: block }) => block?.cidr ?? []);
    const subnets = made.found('aws_subnet').filter(({ path }) => path.includes('/public-'));
    expect(ranges).toEqual(subnets.map(({ is }) => is['cidr_block']));
    const carried = manifest('nodes/kind').spec['securityGroupSelectorTerms'] as readonly { readonly id: string }[];
    expect(carried.map(({ id }) => id)).toEqual([
      expect.stringContaining('cluster_security_group_id'),
      expect.stringMatching(/ingress_api-gateway-group/),
      expect.stringMatching(/database_clients/),
    ]);
  });
});

describe('what is in the cluster at AWS', () => {
  it('has a state of its own, and is reached by a token that is asked for each time', () => {
    expect(made.json.services!.provider['kubernetes']).toEqual([
      {
        host: expect.stringContaining('endpoint'),
        cluster_ca_certificate: expect.stringContaining('base64decode'),
        exec: [
          {
            api_version: 'client.authentication.k8s.io/v1beta1',
            command: 'aws',
            args: ['eks', 'get-token', '--cluster-name', expect.any(String), '--region', 'eu-central-1'],
          },
        ],
      },
    ]);
    expect(made.resources.filter(({ type }) => type === 'kubernetes_deployment_v1').map(({ stack }) => stack)).toEqual(
      Array.from({ length: 6 }, () => 'services'),
    );
  });

  it('may be rolled by the pipeline, and looked at for that; nothing else is its', () => {
    expect(made.one('aws_eks_access_entry', 'services/pipeline')).toMatchObject({
      type: 'STANDARD',
      kubernetes_groups: ['tribo-pipeline'],
    });
    expect(made.one('kubernetes_role_binding_v1', 'services/pipeline-rolls')['subject']).toEqual([
      { api_group: 'rbac.authorization.k8s.io', kind: 'Group', name: 'tribo-pipeline' },
    ]);
    const rights = statementsOf(made.one('aws_iam_role_policy', 'ci-identity/rights')['policy']);
    const beyondImages = rights.flatMap(({ Action }) => Action).filter((action) => !action.startsWith('ecr:'));
    expect(beyondImages).toEqual(['eks:DescribeCluster']);
  });

  it('is watched: CPU and memory of each service by the metrics of the cluster', () => {
    const watched = made.of('aws_cloudwatch_metric_alarm').filter(({ namespace }) => namespace === 'ContainerInsights');
    const whatOf = watched.map(
      ({ metric_name: metric, dimensions }) => `${(dimensions as Attributes)['PodName'] as string} ${metric as string}`,
    );
    expect(whatOf.sort()).toEqual(
      Object.keys(SERVICE_PORTS)
        .flatMap((service) => ['cpu', 'memory'].map((what) => `${service} pod_${what}_utilization_over_pod_limit`))
        .sort(),
    );
    expect(JSON.stringify(made.of('aws_cloudwatch_metric_alarm'))).not.toContain('AWS/ECS');
    expect(made.one('aws_eks_addon', 'services/agent')).toMatchObject({
      addon_name: 'amazon-cloudwatch-observability',
      pod_identity_association: [{ service_account: 'cloudwatch-agent' }],
    });
  });
});
