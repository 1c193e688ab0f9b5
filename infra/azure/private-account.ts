import { Construct } from 'constructs';
import { StorageAccount } from '@cdktf/provider-azurerm/lib/storage-account/index.js';
import { StorageContainer } from '@cdktf/provider-azurerm/lib/storage-container/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { Place } from './azure-stack.ts';
import type { OwnKey } from './encryption-key.ts';
import type { Logs } from './logs.ts';

interface AccountParts {
  /** The part of its name that tells it from the site's others. */
  readonly part: string;
  readonly key: OwnKey | undefined;
  readonly logs: Logs;
  readonly containers: readonly string[];
  /** How long what was overwritten or deleted can be had back; absent where it is of no worth a moment later. */
  readonly keptDays?: number;
  /** Whether what is in it has a copy in another region, or is one: Azure finds by the feed of changes what is to be copied. */
  readonly isCopied?: boolean;
  /** Whether it may go with its stack, outside dev too. */
  readonly isMadeAgain?: boolean;
  /** Whether its names are folders, as Data Lake Storage has them, of which Azure keeps no versions. */
  readonly isHierarchical?: boolean;
  /** Why its key opens it, where it has to. */
  readonly openedByKey?: string;
}

/** What Azure signs with the key and is good for longer is said to be so in logs: days, hours, minutes and seconds. */
const SIGNED_FOR = '01.00:00:00';
/** What is deleted is written to the log: all that is read and written would be many times what the platform itself says. */
const LOGGED = ['StorageDelete'];
/** Of what changed, for longer than a region is away. */
const FEED_DAYS = 30;

/**
 * A storage account that nobody outside reaches: no public blob, no key and no signature of one (but where it is said why), TLS alone, closed to every
 * network but for private endpoints and Azure's own logs. Encrypted twice, with the key of the site where it has one; in several zones where the site
 * is.
 */
export class PrivateAccount extends Construct {
  readonly account: StorageAccount;
  readonly containers: Readonly<Record<string, StorageContainer>>;
  /** `https://triboakrondevobj0123abcd.blob.core.windows.net`. */
  readonly url: string;

  constructor(scope: Construct, id: string, at: Place, parts: AccountParts) {
    super(scope, id);
    const { part, key, logs, containers, keptDays, openedByKey } = parts;
    const { isCopied = false, isMadeAgain = false, isHierarchical = false } = parts;
    const { site, place } = at;
    const lifecycle = { preventDestroy: site.isProtected && !isMadeAgain };
    this.account = new StorageAccount(this, 'account', {
      ...place,
      name: at.globalName(part, 24, 'alphanumeric'),
      accountKind: 'StorageV2',
      accountTier: 'Standard',
      accountReplicationType: site.zones > 1 ? 'ZRS' : 'LRS',
      accessTier: 'Hot',
      ...(isHierarchical && { isHnsEnabled: true }),
      httpsTrafficOnlyEnabled: true,
      minTlsVersion: 'TLS1_2',
      allowNestedItemsToBePublic: false,
      sharedAccessKeyEnabled: openedByKey !== undefined,
      ...(openedByKey !== undefined && { sasPolicy: { expirationPeriod: SIGNED_FOR, expirationAction: 'Log' } }),
      defaultToOauthAuthentication: true,
      localUserEnabled: false,
      crossTenantReplicationEnabled: false,
      allowedCopyScope: 'AAD',
      infrastructureEncryptionEnabled: true,
      publicNetworkAccessEnabled: false,
      networkRules: { defaultAction: 'Deny', bypass: ['AzureServices'] },
      blobProperties: {
        versioningEnabled: keptDays !== undefined,
        ...(isCopied && { changeFeedEnabled: true, changeFeedRetentionInDays: FEED_DAYS }),
        ...(keptDays !== undefined && {
          deleteRetentionPolicy: { days: keptDays },
          containerDeleteRetentionPolicy: { days: keptDays },
        }),
      },
      ...(key && {
        identity: { type: 'UserAssigned', identityIds: [key.identityId] },
        customerManagedKey: { keyVaultKeyId: key.versionlessId, userAssignedIdentityId: key.identityId },
      }),
      lifecycle,
    });
    acknowledge(this.account, {
      CKV_AZURE_33: 'Blobs alone are kept here: there is no queue',
      CKV_AZURE_43:
        'The end of the name is known once it is known where it is deployed; the whole is of small letters and digits',
      CKV_AZURE_206:
        'Copies in another region are bought by switches.secondRegion, and data may have to stay in one country',
      ...(key === undefined && { CKV2_AZURE_1: 'In dev no key is kept that could not be purged with the vault' }),
      ...(openedByKey !== undefined && { CKV2_AZURE_40: openedByKey }),
      ...(keptDays === undefined && {
        CKV2_AZURE_38: isHierarchical
          ? 'Nothing is ever put there'
          : 'Written again every few seconds: what was before is of no worth',
      }),
    });
    this.url = `https://${this.account.name}.blob.core.windows.net`;
    this.containers = Object.fromEntries(
      containers.map((name) => [
        name,
        acknowledge(
          new StorageContainer(this, name, {
            name,
            storageAccountId: this.account.id,
            containerAccessType: 'private',
            lifecycle,
          }),
          { CKV2_AZURE_21: 'Services alone read, many times a second; what is deleted is in the log' },
        ),
      ]),
    );
    logs.of(this, `${this.account.id}/blobServices/default`, LOGGED);
  }
}
