import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { KeyVaultKey } from '@cdktf/provider-azurerm/lib/key-vault-key/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import { UserAssignedIdentity } from '@cdktf/provider-azurerm/lib/user-assigned-identity/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { Place } from './azure-stack.ts';
import type { Logs } from './logs.ts';
import type { PrivateEndpoints } from './private-endpoints.ts';
import { PrivateVault } from './private-vault.ts';

/** A key of the site, and as whom Azure's services use it. */
export interface OwnKey {
  /** Whichever version is the newest: one that is named would be used for ever, although another is made each year. */
  readonly versionlessId: string;
  /** Its address at Azure, on which roles are given. */
  readonly resourceId: string;
  readonly identityId: string;
  readonly identityClientId: string;
  /** What has to be there before the key can be used. */
  readonly ready: ITerraformDependable;
}

/**
 * The vault of the site's keys and of the password of its database. Outside dev all that can be is encrypted with a key of the site's own, which
 * Azure wants in a vault that nobody can purge; in dev, whose vault goes with it, with keys of Azure. Of Event Hubs, Standard takes no other.
 */
export class EncryptionKey extends Construct {
  readonly vault: PrivateVault;
  /** Undefined in dev. */
  readonly own: OwnKey | undefined;

  constructor(
    scope: Construct,
    id: string,
    at: Place,
    parts: { readonly logs: Logs; readonly endpoints: PrivateEndpoints | undefined },
  ) {
    super(scope, id);
    this.vault = new PrivateVault(this, 'keys', at, {
      ...parts,
      part: 'keys',
      deployerRoles: ['Key Vault Crypto Officer', 'Key Vault Secrets Officer'],
    });
    this.own = at.site.isProtected ? this.#key(at) : undefined;
  }

  #key({ place, site: { names } }: Place): OwnKey {
    const key = new KeyVaultKey(this, 'key', {
      name: 'data',
      keyVaultId: this.vault.vault.id,
      keyType: 'RSA',
      keySize: 3072,
      keyOpts: ['wrapKey', 'unwrapKey'],
      // A new version each year. No version ends: data whose key has ended is lost to all that still uses it.
      rotationPolicy: { automatic: { timeAfterCreation: 'P365D' } },
      dependsOn: [...this.vault.ready],
      lifecycle: { preventDestroy: true },
    });
    acknowledge(key, {
      CKV_AZURE_40: 'Data whose key has ended is lost to all that still uses it: it is made anew each year instead',
      CKV_AZURE_112: 'The standard tier of vaults, as it was priced, keeps keys in software',
    });
    const identity = new UserAssignedIdentity(this, 'identity', { ...place, name: names.of('encryption', 128) });
    const right = new RoleAssignment(this, 'identity-right', {
      scope: key.resourceVersionlessId,
      roleDefinitionName: 'Key Vault Crypto Service Encryption User',
      principalId: identity.principalId,
      principalType: 'ServicePrincipal',
      skipServicePrincipalAadCheck: true,
    });
    return {
      versionlessId: key.versionlessId,
      resourceId: key.resourceVersionlessId,
      identityId: identity.id,
      identityClientId: identity.clientId,
      ready: right,
    };
  }
}
