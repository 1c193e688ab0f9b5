import { Construct } from 'constructs';
import { MonitoringNotificationChannel } from '@cdktf/provider-google/lib/monitoring-notification-channel/index.js';
import type { GcpStack } from './gcp-stack.ts';

/** Whom the alarms of the platform itself call: the owner, by mail. */
export class Operators extends Construct {
  readonly channel: string;

  constructor(scope: GcpStack, id: string) {
    super(scope, id);
    const { names, environment } = scope.site;
    this.channel = mailChannel(this, 'owner', `${names.base}: owner`, environment.tags.owner);
  }
}

/** By which Cloud Monitoring, and a budget, tells somebody. */
export function mailChannel(scope: Construct, id: string, displayName: string, address: string): string {
  return new MonitoringNotificationChannel(scope, id, {
    displayName,
    type: 'email',
    labels: { email_address: address },
  }).id;
}
