import type { Grant } from '../../permissions.ts';

/** https://cloud.google.com/pubsub/docs/access-control */
export const pubsubEventStreamPermissions: readonly Grant[] = [
  { actions: ['pubsub.topics.publish', 'pubsub.topics.attachSubscription'], on: 'topics <topicPrefix>*' },
  {
    actions: ['pubsub.subscriptions.create'],
    on: 'project <projectId>',
  },
  {
    actions: ['pubsub.subscriptions.get', 'pubsub.subscriptions.consume', 'pubsub.subscriptions.delete'],
    on: 'subscriptions <topicPrefix>*',
  },
  { actions: ['pubsub.subscriptions.list'], on: 'project <projectId>', isForVerification: true },
];
