import { loadSdk } from '../../sdk.ts';
import { clientSettings, type AwsPlace } from '../aws-place.ts';

export type ThingAttributes = Readonly<Record<string, string>>;

export interface Thing {
  readonly name: string;
  readonly attributes: ThingAttributes;
}

/** A certificate of a thing, by its ARN, whose last part is its id. */
export interface Certificate {
  readonly pem: string;
  readonly isActive: boolean;
}

interface ThingQuery {
  readonly thingTypeName: string;
  readonly attributeName: string;
  readonly attributeValue: string;
}

interface ThingPage {
  readonly things: readonly Thing[];
  readonly next: string | undefined;
}

/** The calls of IoT Core's registry that devices take: each one attempt, throwing what the SDK throws. */
export interface IotRegistryCalls {
  createThing(
    name: string,
    thingType: string | undefined,
    attributes: ThingAttributes,
    signal: AbortSignal,
  ): Promise<void>;
  /** Changes the attributes that are given. */
  updateThing(name: string, attributes: ThingAttributes, signal: AbortSignal): Promise<void>;
  getThing(
    name: string,
    signal: AbortSignal,
  ): Promise<(Thing & { readonly thingType: string | undefined }) | undefined>;
  /** A page of them, the first without `after`; the last has no `next`. */
  listThings(query: ThingQuery, after: string | undefined, signal: AbortSignal): Promise<ThingPage>;
  deleteThing(name: string, signal: AbortSignal): Promise<void>;
  /** An active certificate with a key of its own, both as PEM. */
  createCertificate(signal: AbortSignal): Promise<{ readonly arn: string; readonly pem: string; readonly key: string }>;
  getCertificate(arn: string, signal: AbortSignal): Promise<Certificate>;
  setActive(arn: string, isActive: boolean, signal: AbortSignal): Promise<void>;
  deleteCertificate(arn: string, signal: AbortSignal): Promise<void>;
  /** The ARNs of the thing's certificates. */
  certificatesOf(thing: string, signal: AbortSignal): Promise<readonly string[]>;
  attach(arn: string, thing: string, signal: AbortSignal): Promise<void>;
  detach(arn: string, thing: string, signal: AbortSignal): Promise<void>;
  attachPolicy(policy: string, arn: string, signal: AbortSignal): Promise<void>;
  detachPolicy(policy: string, arn: string, signal: AbortSignal): Promise<void>;
  policiesOf(arn: string, signal: AbortSignal): Promise<readonly string[]>;
  close(): void;
}

/** The SDK is loaded here and nowhere else, so that a site without IoT Core never loads it. */
export async function openIotRegistry(place: AwsPlace): Promise<IotRegistryCalls> {
  const { IoT, paginateListAttachedPolicies, paginateListThingPrincipals } = await loadSdk(
    'AWS',
    () => import('@aws-sdk/client-iot'),
  );
  const client = new IoT(clientSettings(place));
  return {
    createThing: async (thingName, thingTypeName, attributes, abortSignal) => {
      const type = thingTypeName === undefined ? {} : { thingTypeName };
      await client.createThing({ thingName, ...type, attributePayload: { attributes } }, { abortSignal });
    },
    updateThing: async (thingName, attributes, abortSignal) => {
      await client.updateThing({ thingName, attributePayload: { attributes, merge: true } }, { abortSignal });
    },
    getThing: async (thingName, abortSignal) => {
      try {
        const { attributes = {}, thingTypeName } = await client.describeThing({ thingName }, { abortSignal });
        return { name: thingName, attributes, thingType: thingTypeName };
      } catch (error) {
        if (error instanceof Error && error.name === 'ResourceNotFoundException') return undefined;
        throw error;
      }
    },
    listThings: async (query, after, abortSignal) => {
      const page = { maxResults: MAX_THINGS_A_PAGE, ...(after === undefined ? {} : { nextToken: after }) };
      const { things = [], nextToken } = await client.listThings({ ...query, ...page }, { abortSignal });
      return {
        things: things.map(({ thingName, attributes = {} }) => ({ name: thingName!, attributes })),
        next: nextToken,
      };
    },
    deleteThing: async (thingName, abortSignal) => {
      await client.deleteThing({ thingName }, { abortSignal });
    },
    createCertificate: async (abortSignal) => {
      const { certificateArn, certificatePem, keyPair } = await client.createKeysAndCertificate(
        { setAsActive: true },
        { abortSignal },
      );
      return { arn: certificateArn!, pem: certificatePem!, key: keyPair!.PrivateKey! };
    },
    getCertificate: async (arn, abortSignal) => {
      const described = await client.describeCertificate({ certificateId: idOf(arn) }, { abortSignal });
      const { certificatePem, status } = described.certificateDescription!;
      return { pem: certificatePem!, isActive: status === 'ACTIVE' };
    },
    setActive: async (arn, isActive, abortSignal) => {
      const newStatus = isActive ? 'ACTIVE' : 'INACTIVE';
      await client.updateCertificate({ certificateId: idOf(arn), newStatus }, { abortSignal });
    },
    deleteCertificate: async (arn, abortSignal) => {
      await client.deleteCertificate({ certificateId: idOf(arn) }, { abortSignal });
    },
    certificatesOf: async (thingName, abortSignal) => {
      const found: string[] = [];
      const pages = paginateListThingPrincipals({ client }, { thingName }, { abortSignal });
      for await (const { principals = [] } of pages) found.push(...principals.filter((arn) => arn.includes(':cert/')));
      return found;
    },
    attach: async (principal, thingName, abortSignal) => {
      await client.attachThingPrincipal({ thingName, principal }, { abortSignal });
    },
    detach: async (principal, thingName, abortSignal) => {
      await client.detachThingPrincipal({ thingName, principal }, { abortSignal });
    },
    attachPolicy: async (policyName, target, abortSignal) => {
      await client.attachPolicy({ policyName, target }, { abortSignal });
    },
    detachPolicy: async (policyName, target, abortSignal) => {
      await client.detachPolicy({ policyName, target }, { abortSignal });
    },
    policiesOf: async (target, abortSignal) => {
      const found: string[] = [];
      const pages = paginateListAttachedPolicies({ client }, { target }, { abortSignal });
      for await (const { policies = [] } of pages) found.push(...policies.map(({ policyName }) => policyName!));
      return found;
    },
    close: () => client.destroy(),
  };
}

/** What ListThings gives at most. */
const MAX_THINGS_A_PAGE = 250;

function idOf(certificateArn: string): string {
  return certificateArn.slice(certificateArn.lastIndexOf('/') + 1);
}
