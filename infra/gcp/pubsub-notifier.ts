import { Construct } from 'constructs';
import { PubsubTopic } from '@cdktf/provider-google/lib/pubsub-topic/index.js';
import type { GcpStack } from './gcp-stack.ts';
import type { NotifierSection } from './ports.ts';

/** The topic of alarms of machines, to which whoever wants to hear of them subscribes. */
export class PubsubNotifier extends Construct {
  readonly section: NotifierSection;

  constructor(scope: GcpStack, id: string, { keyName }: { readonly keyName: string }) {
    super(scope, id);
    const { names, region, environment } = scope.site;
    const topic = new PubsubTopic(this, 'alarms', {
      name: names.of('machine-alarms'),
      kmsKeyName: keyName,
      messageStoragePolicy: { allowedPersistenceRegions: [region] },
    });
    this.section = { topic: topic.name, publicUrl: `https://${environment.domain}` };
  }
}
