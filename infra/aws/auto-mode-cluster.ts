import { Construct } from 'constructs';
import { EksAccessEntry } from '@cdktf/provider-aws/lib/eks-access-entry/index.js';
import { EksAccessPolicyAssociation } from '@cdktf/provider-aws/lib/eks-access-policy-association/index.js';
import { EksAddon } from '@cdktf/provider-aws/lib/eks-addon/index.js';
import { EksCluster } from '@cdktf/provider-aws/lib/eks-cluster/index.js';
import { EksPodIdentityAssociation } from '@cdktf/provider-aws/lib/eks-pod-identity-association/index.js';
import { IamRolePolicy } from '@cdktf/provider-aws/lib/iam-role-policy/index.js';
import { VpcSecurityGroupIngressRule } from '@cdktf/provider-aws/lib/vpc-security-group-ingress-rule/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AwsStack } from './aws-stack.ts';
import { clusterName, logsOfCluster, PIPELINE_GROUP } from './cluster-names.ts';
import { ClusterRoles, podTrust } from './cluster-roles.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import type { Ingress } from './ingress.ts';
import { linkKey } from './link-key.ts';
import { logGroup } from './log-group.ts';
import { policy } from './policy.ts';
import type { AwsPorts } from './ports.ts';
import { TaskRoles } from './task-roles.ts';

/**
 * Of a new cluster; in standard support until March 2027. What costs six times as much after that is never bought, as AWS renews each cluster then by
 * itself: so a running one is never told its version, which EKS would refuse to lower.
 */
const VERSION = '1.35';
const CONTROL_PLANE_LOGS = ['api', 'audit', 'authenticator', 'controllerManager', 'scheduler'];
/** Brings the kind of resource that says which secrets a pod is given: it has to be known before pods are planned. */
const SECRETS_ADDON = 'aws-secrets-store-csi-driver-provider';

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  readonly ingress: Ingress;
  readonly ports: AwsPorts;
}

/**
 * The cluster of the services, in EKS Auto Mode: AWS runs, mends and renews its nodes, which have no public address. The control plane is reached
 * from within the network of the site alone. What runs in it, and which nodes it may have, is in the stack `services`.
 */
export class AutoModeCluster extends Construct {
  readonly cluster: EksCluster;
  /** In which the services are. */
  readonly namespace: string;
  readonly roles: ClusterRoles;
  readonly linkKeyArn: string;
  /** What nodes, and so pods, carry: they reach each other, the control plane and what answers its clients alone, and the balancer reaches the API. */
  readonly nodeGroups: readonly string[];

  constructor(scope: AwsStack, id: string, { foundation, data, ingress, ports }: Parts) {
    super(scope, id);
    const keyArn = foundation.key.arn;
    this.namespace = scope.site.names.base;
    this.roles = new ClusterRoles(scope, 'cluster-roles', { keyArn });
    this.linkKeyArn = linkKey(scope, this, 'link-key', keyArn).arn;
    this.cluster = this.#cluster(scope, foundation);
    this.#letIn(scope, foundation);
    this.#services(scope, { ports, data, keyArn });
    new EksAddon(this, 'secrets', { clusterName: this.cluster.name, addonName: SECRETS_ADDON });
    acknowledge(ingress.targetSecurityGroup, {
      CKV2_AWS_5: 'The nodes of the cluster carry it, by the stack services',
    });
    this.nodeGroups = [
      this.cluster.vpcConfig.clusterSecurityGroupId,
      ...[ingress.targetSecurityGroup, ...data.clientGroups].map((group) => group.id),
    ];
  }

  #cluster({ site }: AwsStack, { network, key }: FoundationStack): EksCluster {
    const { names, environment } = site;
    const logs = Object.entries(logsOfCluster(names)).map(([what, name]) =>
      logGroup(this, `${what}-log`, site, { name, keyArn: key.arn }),
    );
    return new EksCluster(this, 'cluster', {
      name: clusterName(names),
      version: VERSION,
      upgradePolicy: { supportType: 'STANDARD' },
      roleArn: this.roles.cluster.arn,
      // Auto Mode is these three together, with its own way to what add-ons do elsewhere. Nodes are of a pool of the site's own.
      computeConfig: { enabled: true },
      storageConfig: { blockStorage: { enabled: true } },
      kubernetesNetworkConfig: {
        elasticLoadBalancing: { enabled: true },
        ipFamily: 'ipv4',
        serviceIpv4Cidr: environment.network.services!,
      },
      bootstrapSelfManagedAddons: false,
      // Whoever makes the cluster applies what is in it.
      accessConfig: { authenticationMode: 'API', bootstrapClusterCreatorAdminPermissions: true },
      vpcConfig: {
        subnetIds: network.subnets.services.map((subnet) => subnet.id),
        endpointPrivateAccess: true,
        endpointPublicAccess: false,
      },
      encryptionConfig: { provider: { keyArn: key.arn }, resources: ['secrets'] },
      enabledClusterLogTypes: CONTROL_PLANE_LOGS,
      // Before it writes its first line, and for as long as it takes nodes away again.
      dependsOn: [...logs, ...this.roles.rights],
      lifecycle: { ignoreChanges: ['version'] },
    });
  }

  /** Who reaches the control plane, and who is known there. */
  #letIn(scope: AwsStack, { ciIdentity }: FoundationStack): void {
    const { name } = this.cluster;
    new VpcSecurityGroupIngressRule(this, 'control-plane', {
      securityGroupId: this.cluster.vpcConfig.clusterSecurityGroupId,
      description: 'TLS to the control plane, from the network of the site',
      cidrIpv4: scope.site.environment.network.range,
      ipProtocol: 'tcp',
      fromPort: 443,
      toPort: 443,
    });
    const nodes = new EksAccessEntry(this, 'nodes', {
      clusterName: name,
      principalArn: this.roles.nodes.arn,
      type: 'EC2',
    });
    new EksAccessPolicyAssociation(this, 'nodes-join', {
      clusterName: name,
      principalArn: nodes.principalArn,
      policyArn: `arn:${scope.partition}:eks::aws:cluster-access-policy/AmazonEKSAutoNodePolicy`,
      accessScope: { type: 'cluster' },
    });
    // What it may do is said in the namespace of the services.
    new EksAccessEntry(this, 'pipeline', {
      clusterName: name,
      principalArn: ciIdentity.roleArn,
      type: 'STANDARD',
      kubernetesGroups: [PIPELINE_GROUP],
    });
  }

  /** Each service is the role that it would have as a container, and reads what it starts with by itself. */
  #services(
    scope: AwsStack,
    { ports, data, keyArn }: { readonly ports: AwsPorts; readonly data: DataStack; readonly keyArn: string },
  ): void {
    const { roles } = new TaskRoles(scope, 'task-roles', {
      ...{ ports, data, keyArn },
      trustFor: (service) => podTrust(scope, this.namespace, service),
    });
    for (const [service, role] of roles) {
      new IamRolePolicy(this, `${service}-starts`, {
        name: 'start',
        role: role.id,
        policy: policy([
          {
            Effect: 'Allow',
            Action: ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'],
            Resource: [data.database.passwordSecretArn, this.linkKeyArn],
          },
          { Effect: 'Allow', Action: 'kms:Decrypt', Resource: [keyArn] },
        ]),
      });
      new EksPodIdentityAssociation(this, `${service}-is`, {
        clusterName: this.cluster.name,
        namespace: this.namespace,
        serviceAccount: service,
        roleArn: role.arn,
      });
    }
  }
}
