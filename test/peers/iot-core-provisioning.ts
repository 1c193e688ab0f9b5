import type { X509Certificate } from 'node:crypto';
import type { IoT } from '@aws-sdk/client-iot';

/** An authority that IoT Core knows, with the body of its template of type JITP. */
export interface DeviceAuthority {
  readonly certificate: X509Certificate;
  readonly templateBody: string;
}

type Value = string | { readonly Ref: string };

interface Template {
  readonly Parameters: Readonly<Record<string, { readonly Type: 'String' }>>;
  readonly Resources: Readonly<Record<string, Resource>>;
}

type Resource =
  | {
      readonly Type: 'AWS::IoT::Thing';
      readonly Properties: {
        readonly ThingName: Value;
        readonly ThingTypeName: Value;
        readonly AttributePayload: Readonly<Record<string, Value>>;
      };
      readonly OverrideSettings: Readonly<Record<'AttributePayload' | 'ThingTypeName', 'FAIL' | 'DO_NOTHING'>>;
    }
  | {
      readonly Type: 'AWS::IoT::Certificate';
      readonly Properties: { readonly CertificateId: Value; readonly Status: 'ACTIVE' };
    }
  | { readonly Type: 'AWS::IoT::Policy'; readonly Properties: { readonly PolicyName: Value } };

/** The fields of a subject, by the parameters of templates that have them. */
const FIELDS = {
  CommonName: 'CN',
  Organization: 'O',
  OrganizationalUnit: 'OU',
  Country: 'C',
  StateName: 'ST',
} as const;

/**
 * Just-in-time provisioning, as AWS documents it: the certificate, which nobody knew, is registered as pending, and what the template of its authority
 * says is made. Where that fails, and where the certificate has no value for one of the parameters, it stays pending and is let in nowhere.
 * https://docs.aws.amazon.com/iot/latest/developerguide/jit-provisioning.html
 */
export async function provision(iot: IoT, shown: X509Certificate, { templateBody }: DeviceAuthority): Promise<void> {
  const { certificateId, certificateArn } = await iot.registerCertificate({
    ...{ certificatePem: shown.toString(), status: 'PENDING_ACTIVATION' },
  });
  const template = JSON.parse(templateBody) as Template;
  const subject = shown.toLegacyObject().subject as Readonly<Record<string, string>>;
  const known = new Map<string, string | undefined>([
    ...Object.entries(FIELDS).map(([name, field]) => [`AWS::IoT::Certificate::${name}`, subject[field]] as const),
    ['AWS::IoT::Certificate::Id', certificateId],
  ]);
  const valueOf = (parameter: string): string => {
    const value = parameter in template.Parameters ? known.get(parameter) : undefined;
    if (value === undefined) throw new Error(`the certificate has no ${parameter}`);
    return value;
  };
  Object.keys(template.Parameters).forEach(valueOf);
  const resolved = (value: Value): string => (typeof value === 'string' ? value : valueOf(value.Ref));
  const resources = Object.values(template.Resources);
  const thing = resources.find((each) => each.Type === 'AWS::IoT::Thing')!;
  const thingName = resolved(thing.Properties.ThingName);
  if (!(await isThere(iot, thingName))) {
    const attributes = Object.entries(thing.Properties.AttributePayload).map(([name, value]) => [
      name,
      resolved(value),
    ]);
    await iot.createThing({
      ...{ thingName, thingTypeName: resolved(thing.Properties.ThingTypeName) },
      attributePayload: { attributes: Object.fromEntries(attributes) as Record<string, string> },
    });
  } else if (Object.values(thing.OverrideSettings).includes('FAIL'))
    throw new Error(`ResourceConflictsException: ${thingName} is there already`);
  for (const each of resources)
    if (each.Type === 'AWS::IoT::Policy')
      await iot.attachPolicy({ policyName: resolved(each.Properties.PolicyName), target: certificateArn! });
  await iot.attachThingPrincipal({ thingName, principal: certificateArn! });
  const certificate = resources.find((each) => each.Type === 'AWS::IoT::Certificate')!;
  await iot.updateCertificate({
    certificateId: resolved(certificate.Properties.CertificateId),
    newStatus: certificate.Properties.Status,
  });
}

async function isThere(iot: IoT, thingName: string): Promise<boolean> {
  try {
    await iot.describeThing({ thingName });
    return true;
  } catch (error) {
    if (error instanceof Error && error.name === 'ResourceNotFoundException') return false;
    throw error;
  }
}
