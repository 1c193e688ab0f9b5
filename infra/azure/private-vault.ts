import { TerraformStack, type ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { KeyVault } from '@cdktf/provider-azurerm/lib/key-vault/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { Place } from './azure-stack.ts';
import { deployerAddresses } from './deployer-addresses.ts';
import { deployers } from './deployers.ts';
import type { Logs } from './logs.ts';
import type { PrivateEndpoints } from './private-endpoints.ts';

const PROTECTED_DAYS = 90;
const FEWEST_DAYS = 7;

interface VaultParts {
  /** The part of its name that tells it from the site's other. */
  readonly part: string;
  readonly logs: Logs;
  /** Undefined where nothing within a network asks for it. */
  readonly endpoints: PrivateEndpoints | undefined;
  /** Whether it may go with its stack, outside dev too. */
  readonly isMadeAgain?: boolean;
  /** Built-in roles of those who deploy: what the stacks themselves put there. */
  readonly deployerRoles?: readonly string[];
}

/**
 * A vault that is reached from within the network, and by the addresses that whoever deploys names, while they are named. Roles say who may what;
 * what is deleted can be had back, and outside dev nobody can purge it before its time.
 */
export class PrivateVault extends Construct {
  readonly vault: KeyVault;
  /** What has to be there before anything is put into it. */
  readonly ready: readonly ITerraformDependable[];

  constructor(
    scope: Construct,
    id: string,
    at: Place,
    { part, logs, endpoints, isMadeAgain = false, deployerRoles = [] }: VaultParts,
  ) {
    super(scope, id);
    const { site, place, tenantId } = at;
    const isDeployedTo = deployerRoles.length > 0;
    this.vault = new KeyVault(this, 'vault', {
      ...place,
      name: at.globalName(part, 24),
      tenantId,
      skuName: 'standard',
      rbacAuthorizationEnabled: true,
      purgeProtectionEnabled: site.isProtected,
      softDeleteRetentionDays: site.isProtected ? PROTECTED_DAYS : FEWEST_DAYS,
      publicNetworkAccessEnabled: false,
      networkAcls: { defaultAction: 'Deny', bypass: 'AzureServices' },
      lifecycle: { preventDestroy: site.isProtected && !isMadeAgain },
    });
    if (!site.isProtected)
      acknowledge(this.vault, {
        CKV_AZURE_42: 'In dev all goes with the site, names too',
        CKV_AZURE_110: 'In dev all goes with the site, names too',
      });
    if (isDeployedTo) {
      const addresses = deployerAddresses(
        this,
        'Public addresses that may reach the vault of keys while the stacks foundation and data are applied; none shuts it',
      );
      this.vault.addOverride('public_network_access_enabled', `\${length(${addresses}) > 0}`);
      this.vault.addOverride('network_acls.ip_rules', `\${${addresses}}`);
    }
    const roles = isDeployedTo ? this.#givenTo(deployers(TerraformStack.of(this)), deployerRoles) : [];
    if (endpoints) endpoints.lead(this, at, { kind: 'vault', part, id: this.vault.id });
    else
      acknowledge(this.vault, {
        CKV2_AZURE_32: "Azure's own services alone use its key, and those are let in without an endpoint",
      });
    this.ready = [this.vault, ...roles];
    logs.of(this, this.vault.id, ['AuditEvent']);
  }

  /** Each role to each of them, of whom one alone applies at a time: another would else lose what the last one was given. */
  #givenTo(each: string, roles: readonly string[]): readonly RoleAssignment[] {
    return roles.map((roleDefinitionName) => {
      const given = new RoleAssignment(this, roleDefinitionName.toLowerCase().replaceAll(' ', '-'), {
        scope: this.vault.id,
        roleDefinitionName,
        principalId: '${each.value}',
      });
      given.addOverride('for_each', `\${${each}}`);
      return given;
    });
  }
}
