import { Construct } from 'constructs';
import { LogAnalyticsWorkspace } from '@cdktf/provider-azurerm/lib/log-analytics-workspace/index.js';
import { MonitorDiagnosticSetting } from '@cdktf/provider-azurerm/lib/monitor-diagnostic-setting/index.js';
import type { AzureStack } from './azure-stack.ts';

/** Where logs of the services and of all that they stand on are, for as long as the environment says. No key opens it. */
export class Logs extends Construct {
  readonly workspaceId: string;

  constructor(scope: AzureStack, id: string) {
    super(scope, id);
    const { site, place } = scope;
    this.workspaceId = new LogAnalyticsWorkspace(this, 'workspace', {
      ...place,
      name: site.names.of('logs', 63),
      sku: 'PerGB2018',
      retentionInDays: site.environment.retention.logDays,
      localAuthenticationEnabled: false,
      allowResourceOnlyPermissions: true,
    }).id;
  }

  /** Has a resource write logs of these categories; `scope` has one such. */
  of(scope: Construct, targetResourceId: string, categories: readonly string[]): MonitorDiagnosticSetting {
    return new MonitorDiagnosticSetting(scope, 'logs', {
      name: 'tribo',
      targetResourceId,
      logAnalyticsWorkspaceId: this.workspaceId,
      enabledLog: categories.map((category) => ({ category })),
    });
  }
}
