import { Construct } from 'constructs';
import { MonitorActionGroup } from '@cdktf/provider-azurerm/lib/monitor-action-group/index.js';
import type { AzureStack } from './azure-stack.ts';

/** Whom the alarms of the platform itself call: the owner, by mail. */
export class Operators extends Construct {
  readonly actionGroupId: string;

  constructor(scope: AzureStack, id: string) {
    super(scope, id);
    const { site, place } = scope;
    this.actionGroupId = new MonitorActionGroup(this, 'calls', {
      name: site.names.of('operators', 260),
      resourceGroupName: place.resourceGroupName,
      // What a message begins with: twelve letters.
      shortName: 'Tribo',
      emailReceiver: [{ name: 'owner', emailAddress: site.environment.tags.owner, useCommonAlertSchema: true }],
    }).id;
  }
}
