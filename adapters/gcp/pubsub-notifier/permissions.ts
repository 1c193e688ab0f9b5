import type { Grant } from '../../permissions.ts';

export const pubsubNotifierPermissions: readonly Grant[] = [
  { actions: ['pubsub.topics.publish'], on: 'topic <topic>', role: 'roles/pubsub.publisher' },
];
