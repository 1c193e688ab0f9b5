import { Construct } from 'constructs';
import type { AwsStack } from './aws-stack.ts';
import { EncryptedTopic } from './encrypted-topic.ts';
import type { NotifierSection } from './ports.ts';

/** The topic of alarms of machines, to which whoever wants to hear of them subscribes. */
export class SnsNotifier extends Construct {
  readonly section: NotifierSection;

  constructor(scope: AwsStack, id: string, { keyArn }: { readonly keyArn: string }) {
    super(scope, id);
    const { environment } = scope.site;
    const { arn } = new EncryptedTopic(this, 'alarms', scope, {
      part: 'machine-alarms',
      displayName: 'Tribo: machines',
      keyArn,
    });
    this.section = { topicArn: arn, publicUrl: `https://${environment.domain}` };
  }
}
