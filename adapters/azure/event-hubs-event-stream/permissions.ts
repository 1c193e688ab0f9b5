import type { Grant } from '../../permissions.ts';
import { BLOB_ACTIONS, BLOB_ROLE } from '../blob-place.ts';
import { HUB_RECEIVING } from '../event-hubs-place.ts';

/** https://learn.microsoft.com/azure/event-hubs/authorize-access-azure-active-directory */
export const eventHubsEventStreamPermissions: readonly Grant[] = [
  {
    actions: ['Microsoft.EventHub/namespaces/messages/send/action'],
    on: 'event hubs <streams>',
    role: 'Azure Event Hubs Data Sender',
  },
  { ...HUB_RECEIVING, on: 'event hubs <streams>' },
  { actions: BLOB_ACTIONS, on: 'container <checkpointContainer>', role: BLOB_ROLE },
];
