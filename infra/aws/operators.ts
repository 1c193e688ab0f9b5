import { SnsTopicSubscription } from '@cdktf/provider-aws/lib/sns-topic-subscription/index.js';
import { Construct } from 'constructs';
import type { AwsStack } from './aws-stack.ts';
import { EncryptedTopic } from './encrypted-topic.ts';

/** Whom the alarms of the platform itself call: the owner, by mail, once the subscription is confirmed. */
export class Operators extends Construct {
  readonly topicArn: string;

  constructor(
    scope: Construct,
    id: string,
    stack: AwsStack,
    { keyArn, part = 'operators' }: { readonly keyArn: string; readonly part?: string },
  ) {
    super(scope, id);
    const { arn } = new EncryptedTopic(this, 'calls', stack, {
      part,
      displayName: 'Tribo: platform',
      keyArn,
      publishers: ['cloudwatch.amazonaws.com'],
    });
    this.topicArn = arn;
    new SnsTopicSubscription(this, 'owner', {
      topicArn: arn,
      protocol: 'email',
      endpoint: stack.site.environment.tags.owner,
    });
  }
}
