import { SnsTopicSubscription } from '@cdktf/provider-aws/lib/sns-topic-subscription/index.js';
import { Construct } from 'constructs';
import type { AwsStack } from './aws-stack.ts';
import { EncryptedTopic } from './encrypted-topic.ts';

/** Whom the alarms of the platform itself call: the owner, by mail, once the subscription is confirmed. */
export class Operators extends Construct {
  readonly topicArn: string;

  constructor(scope: AwsStack, id: string, { keyArn }: { readonly keyArn: string }) {
    super(scope, id);
    const { arn } = new EncryptedTopic(this, 'calls', scope, {
      part: 'operators',
      displayName: 'Tribo: platform',
      keyArn,
      publishers: ['cloudwatch.amazonaws.com'],
    });
    this.topicArn = arn;
    new SnsTopicSubscription(this, 'owner', {
      topicArn: arn,
      protocol: 'email',
      endpoint: scope.site.environment.tags.owner,
    });
  }
}
