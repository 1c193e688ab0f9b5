import { TerraformVariable } from 'cdktf';
import type { Construct } from 'constructs';

/**
 * Of an API with a public address, those that may come, as a block of its ingress: the addresses from which Front Door calls, which whoever deploys
 * looks up, as the provider cannot tell them from Front Door's others.
 */
export function frontDoorOnly(scope: Construct): object {
  const variable = new TerraformVariable(scope, 'front-door-addresses', {
    type: 'list(string)',
    description: 'The ranges of the service tag AzureFrontDoor.Backend (infra/README.md)',
    validation: [
      {
        condition: '${anytrue([for range in var.front_door_addresses : can(cidrnetmask(range))])}',
        errorMessage: 'front_door_addresses must have at least one range of IPv4: 147.243.0.0/16.',
      },
      {
        condition:
          '${alltrue([for range in var.front_door_addresses : can(cidrhost(range, 0)) && !endswith(range, "/0")])}',
        errorMessage: 'front_door_addresses must be ranges, and none of them everybody: 147.243.0.0/16.',
      },
    ],
  });
  variable.overrideLogicalId('front_door_addresses');
  return {
    ip_security_restriction: {
      // An environment takes rules for IPv4 alone.
      for_each: '${toset([for range in var.front_door_addresses : range if can(cidrnetmask(range))])}',
      content: {
        name: 'front-door-${replace(replace(ip_security_restriction.value, ".", "-"), "/", "-")}',
        description: 'Front Door',
        action: 'Allow',
        ip_address_range: '${ip_security_restriction.value}',
      },
    },
  };
}
