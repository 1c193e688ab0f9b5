import { TerraformStack, TerraformVariable } from 'cdktf';
import type { Construct } from 'constructs';

/** The list of public addresses from which the stack is deployed, as expressions have it; without one nobody outside the network is let in. */
export function deployerAddresses(scope: Construct, description: string): string {
  // Asked for once a stack, for however many vaults.
  const isAsked = TerraformStack.of(scope)
    .node.findAll()
    .some(({ node }) => node.id === 'deployer-addresses');
  if (isAsked) return 'var.deployer_addresses';
  const variable = new TerraformVariable(scope, 'deployer-addresses', {
    type: 'list(string)',
    default: [],
    description,
    validation: [
      {
        condition:
          '${alltrue([for address in var.deployer_addresses : can(cidrnetmask(strcontains(address, "/") ? address : "${address}/32"))])}',
        errorMessage: 'deployer_addresses must be IPv4 addresses or ranges: 203.0.113.7 or 203.0.113.0/24.',
      },
    ],
  });
  variable.overrideLogicalId('deployer_addresses');
  return 'var.deployer_addresses';
}
