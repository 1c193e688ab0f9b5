import type { Construct } from 'constructs';
import { FlowLog } from '@cdktf/provider-aws/lib/flow-log/index.js';
import { IamRole } from '@cdktf/provider-aws/lib/iam-role/index.js';
import { IamRolePolicy } from '@cdktf/provider-aws/lib/iam-role-policy/index.js';
import type { AwsStack } from './aws-stack.ts';
import { logGroup } from './log-group.ts';
import { policy, trust } from './policy.ts';

interface FlowLogParts {
  readonly stack: AwsStack;
  readonly vpcId: string;
  readonly keyArn: string;
  readonly region: string;
  /** Tells it from that of another network of the site: `network`. */
  readonly part: string;
}

/** Who talked to whom in a network, for when something was not meant to. */
export function keepFlows(scope: Construct, { stack, vpcId, keyArn, region, part }: FlowLogParts): void {
  const { names } = stack.site;
  const group = logGroup(scope, 'flows', stack.site, { name: `/${names.path}${part}`, keyArn });
  const role = new IamRole(scope, 'flows-role', {
    name: names.of(`${part}-flows`, 64),
    assumeRolePolicy: trust('vpc-flow-logs.amazonaws.com', stack.account),
  });
  new IamRolePolicy(scope, 'flows-rights', {
    name: 'write-flows',
    role: role.id,
    policy: policy([
      {
        Effect: 'Allow',
        Action: ['logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'],
        Resource: [`${group.arn}:*`],
      },
      // It lists groups before it writes, which is asked of all that there are.
      { Effect: 'Allow', Action: 'logs:DescribeLogGroups', Resource: [stack.arn('logs', 'log-group:*', region)] },
    ]),
  });
  new FlowLog(scope, 'flow-log', {
    vpcId,
    trafficType: 'ALL',
    logDestinationType: 'cloud-watch-logs',
    logDestination: group.arn,
    iamRoleArn: role.arn,
    maxAggregationInterval: 600,
    tags: { Name: names.base },
  });
}
