import { cloudEvent } from '#core/announcing/cloud-events.ts';
import { CloudNotifier } from '../../cloud-notifier.ts';
import { codeOfGcpError } from '../gcp-errors.ts';
import { openTopic } from './client.ts';
import type { PubsubNotifierConfig } from './config.ts';

/** Publishes alarms, and what else it is to take, to a topic of Pub/Sub: a CloudEvent in structured JSON, with its id, type and source as attributes. */
export class PubsubNotifier extends CloudNotifier {
  static async open(config: PubsubNotifierConfig): Promise<PubsubNotifier> {
    const { name, events, topic: topicName, timeoutMs, publicUrl } = config;
    const topic = await openTopic(config);
    return new PubsubNotifier({
      ...{ name, takes: new Set(events), target: `topic ${topicName}`, timeoutMs },
      codeOf: codeOfGcpError,
      send: ({ id, notice }, signal) => {
        const event = cloudEvent(id, notice, publicUrl);
        const { type, source } = event;
        const attributes = { 'content-type': 'application/cloudevents+json', id, type, source };
        return topic.publish(Buffer.from(JSON.stringify(event)), attributes, signal);
      },
      close: () => topic.close(),
    });
  }
}
