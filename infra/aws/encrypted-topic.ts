import { SnsTopicPolicy } from '@cdktf/provider-aws/lib/sns-topic-policy/index.js';
import { SnsTopic } from '@cdktf/provider-aws/lib/sns-topic/index.js';
import { Construct } from 'constructs';
import type { AwsStack } from './aws-stack.ts';
import { policy } from './policy.ts';

interface TopicKind {
  readonly part: string;
  readonly displayName: string;
  readonly keyArn: string;
  /** Services of AWS that publish to it, beside the roles of the account. */
  readonly publishers?: readonly string[];
}

/** A topic that is encrypted with the site's key, and takes what comes over TLS alone. */
export class EncryptedTopic extends Construct {
  readonly arn: string;

  constructor(
    scope: Construct,
    id: string,
    stack: AwsStack,
    { part, displayName, keyArn, publishers = [] }: TopicKind,
  ) {
    super(scope, id);
    const { arn } = new SnsTopic(this, 'topic', {
      name: stack.site.names.of(part, 256),
      displayName,
      kmsMasterKeyId: keyArn,
    });
    this.arn = arn;
    new SnsTopicPolicy(this, 'policy', {
      arn,
      policy: policy([
        {
          Sid: 'TlsAlone',
          Effect: 'Deny',
          Principal: '*',
          Action: 'sns:Publish',
          Resource: arn,
          Condition: { Bool: { 'aws:SecureTransport': 'false' } },
        },
        {
          // As the policy that a topic has by itself: who of the account may publish is said by roles.
          Sid: 'TheAccount',
          Effect: 'Allow',
          Principal: { AWS: `arn:${stack.partition}:iam::${stack.account}:root` },
          Action: ['sns:Publish', 'sns:Subscribe'],
          Resource: arn,
        },
        ...publishers.map((service) => ({
          Sid: `From${service.split('.')[0]!}`,
          Effect: 'Allow' as const,
          Principal: { Service: service },
          Action: 'sns:Publish',
          Resource: arn,
          Condition: { StringEquals: { 'aws:SourceAccount': stack.account } },
        })),
      ]),
    });
  }
}
