import { Construct } from 'constructs';
import { IamRolePolicyAttachment } from '@cdktf/provider-aws/lib/iam-role-policy-attachment/index.js';
import { IamRolePolicy } from '@cdktf/provider-aws/lib/iam-role-policy/index.js';
import { IamRole } from '@cdktf/provider-aws/lib/iam-role/index.js';
import type { AwsStack } from './aws-stack.ts';
import { clusterName } from './cluster-names.ts';
import { policy, trust, verbatim } from './policy.ts';

/** What Auto Mode does by itself: nodes, disks, addresses, and targets of balancers. */
const OF_CLUSTER = ['', 'Compute', 'BlockStorage', 'LoadBalancing', 'Networking'].map(
  (part) => `AmazonEKS${part === '' ? 'Cluster' : part}Policy`,
);
/** Nodes say that they are there, and fetch images: the platform's, and those of EKS itself. */
const OF_NODES = ['AmazonEKSWorkerNodeMinimalPolicy', 'AmazonEC2ContainerRegistryPullOnly'];
/** As which the agent of CloudWatch runs: the add-on names both. */
export const CLOUDWATCH_AGENT = { namespace: 'amazon-cloudwatch', serviceAccount: 'cloudwatch-agent' } as const;

/** Lets one ServiceAccount of the site's cluster take a role, and no other. */
export function podTrust(scope: AwsStack, namespace: string, serviceAccount: string): string {
  return policy([
    {
      Effect: 'Allow',
      Principal: { Service: 'pods.eks.amazonaws.com' },
      Action: ['sts:AssumeRole', 'sts:TagSession'],
      Condition: {
        StringEquals: {
          'aws:RequestTag/eks-cluster-arn': scope.arn('eks', `cluster/${clusterName(scope.site.names)}`),
          'aws:RequestTag/kubernetes-namespace': namespace,
          'aws:RequestTag/kubernetes-service-account': serviceAccount,
        },
      },
    },
  ]);
}

/** The roles of the cluster itself, of its nodes, and of what watches them; what services may do is theirs alone. */
export class ClusterRoles extends Construct {
  readonly cluster: IamRole;
  readonly nodes: IamRole;
  readonly agent: IamRole;
  /** What the cluster has to be allowed before it is made, and as long as it is there. */
  readonly rights: readonly (IamRolePolicyAttachment | IamRolePolicy)[];
  readonly #stack: AwsStack;

  constructor(scope: AwsStack, id: string, { keyArn }: { readonly keyArn: string }) {
    super(scope, id);
    this.#stack = scope;
    this.cluster = this.#role('cluster', 'What EKS may do for the site', trustOfCluster(scope));
    this.nodes = this.#role('nodes', 'Nodes of the cluster', trust('ec2.amazonaws.com'));
    const agent = podTrust(scope, CLOUDWATCH_AGENT.namespace, CLOUDWATCH_AGENT.serviceAccount);
    this.agent = this.#role('agent', 'Logs and measurements of the cluster', agent);
    this.rights = [
      ...this.#attach('cluster', this.cluster, OF_CLUSTER),
      ...this.#attach('nodes', this.nodes, OF_NODES),
      this.#useOfKey(keyArn),
      this.#tagging(),
    ];
    this.#attach('agent', this.agent, ['CloudWatchAgentServerPolicy']);
  }

  #role(part: string, description: string, assumeRolePolicy: string): IamRole {
    const name = this.#stack.site.names.of(part === 'cluster' ? part : `cluster-${part}`, 64);
    return new IamRole(this, part, { name, description, assumeRolePolicy });
  }

  #attach(part: string, { name: role }: IamRole, policies: readonly string[]): readonly IamRolePolicyAttachment[] {
    const of = `arn:${this.#stack.partition}:iam::aws:policy`;
    return policies.map(
      (each) => new IamRolePolicyAttachment(this, `${part}-${each}`, { role, policyArn: `${of}/${each}` }),
    );
  }

  /** Secrets of the control plane, and disks of nodes. */
  #useOfKey(keyArn: string): IamRolePolicy {
    return new IamRolePolicy(this, 'key', {
      name: 'key',
      role: this.cluster.id,
      policy: policy([
        {
          Effect: 'Allow',
          Action: [
            ...['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncryptFrom', 'kms:ReEncryptTo', 'kms:DescribeKey'],
            ...['kms:GenerateDataKey', 'kms:GenerateDataKeyWithoutPlaintext'],
          ],
          Resource: [keyArn],
        },
        {
          Effect: 'Allow',
          Action: ['kms:CreateGrant', 'kms:ListGrants', 'kms:RevokeGrant'],
          Resource: [keyArn],
          Condition: { Bool: { 'kms:GrantIsForAWSResource': 'true' } },
        },
      ]),
    });
  }

  /** What EKS makes for the cluster may have the tags of the site, beside those by which EKS knows it. */
  #tagging(): IamRolePolicy {
    const own = { 'aws:RequestTag/eks:eks-cluster-name': verbatim('${aws:PrincipalTag/eks:eks-cluster-name}') };
    const { region } = this.#stack.site;
    return new IamRolePolicy(this, 'tagging', {
      name: 'tagging',
      role: this.cluster.id,
      policy: policy([
        {
          Effect: 'Allow',
          Action: ['ec2:CreateFleet', 'ec2:RunInstances', 'ec2:CreateLaunchTemplate'],
          Resource: [`arn:${this.#stack.partition}:ec2:${region}:*:*`],
          Condition: {
            StringEquals: own,
            StringLike: {
              'aws:RequestTag/eks:kubernetes-node-class-name': '*',
              'aws:RequestTag/eks:kubernetes-node-pool-name': '*',
            },
          },
        },
        {
          Effect: 'Allow',
          Action: 'ec2:CreateNetworkInterface',
          Resource: [`arn:${this.#stack.partition}:ec2:${region}:*:*`],
          Condition: { StringEquals: own, StringLike: { 'aws:RequestTag/eks:kubernetes-cni-node-name': '*' } },
        },
      ]),
    });
  }
}

function trustOfCluster({ account }: AwsStack): string {
  return policy([
    {
      Effect: 'Allow',
      Principal: { Service: 'eks.amazonaws.com' },
      Action: ['sts:AssumeRole', 'sts:TagSession'],
      Condition: { StringEquals: { 'aws:SourceAccount': account } },
    },
  ]);
}
