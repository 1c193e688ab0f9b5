import { Fn } from 'cdktf';
import type { ResourceGroupTemplateDeployment } from '@cdktf/provider-azurerm/lib/resource-group-template-deployment/index.js';

/**
 * The id of what a template makes, for what comes behind it. Its outputs would say the same, but are unknown to each plan that changes a parameter, and
 * rights, logs and scaling on an id that is unknown are taken away and given anew.
 */
export function madeBy(deployment: ResourceGroupTemplateDeployment, id: string): string {
  return Fn.element([id, deployment.id], 0) as string;
}

/** Parameters as a file of them has them. */
export function asParameters(values: Readonly<Record<string, unknown>>) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value }]));
}
