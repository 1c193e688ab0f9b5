import { isPrivateAtAzure } from '../../core/decision/azure-plan.ts';
import type { Site } from '../site.ts';

/** Of which tier are what Azure sells in several, as core/decision/azure-plan.ts prices them: in the dearer ones networks can be private. */
interface Tiers {
  /** Whether images and the way in are reached by private addresses alone. */
  readonly isPrivate: boolean;
  readonly registry: 'Basic' | 'Premium';
  readonly frontDoor: 'Standard_AzureFrontDoor' | 'Premium_AzureFrontDoor';
}

/** The cheaper tiers are for `sizes: small` without a cluster. */
export function tiersOf({ environment }: Site): Tiers {
  return isPrivateAtAzure(environment)
    ? { isPrivate: true, registry: 'Premium', frontDoor: 'Premium_AzureFrontDoor' }
    : { isPrivate: false, registry: 'Basic', frontDoor: 'Standard_AzureFrontDoor' };
}
