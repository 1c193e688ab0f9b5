/** An IoT policy takes 2,048 characters. */
export const MACHINES_A_POLICY = 7;

/** The attribute of a thing that names one of its device's machines, or that there is none. */
export function machineAttribute(index: number): string {
  return `m${index}`;
}

/** No machine: a value that is in no machine's name, so that every variable of the policies has one. */
export const NO_MACHINE = '=';

/** `arn:aws:iot:region:account`, of the resources that a policy names. */
export type IotArn = `arn:${string}:iot:${string}:${string}`;

/**
 * The document of the site's policy of that number, the same for all devices. By the name of the thing that its certificate is attached to, a
 * device connects under its own id alone; by the thing's attributes, it publishes for its machines, its status so that it is kept, and hears their
 * commands.
 * https://docs.aws.amazon.com/iot/latest/developerguide/thing-policy-variables.html
 */
export function devicePolicy(arn: IotArn, number = 0): string {
  const machines = Array.from({ length: MACHINES_A_POLICY }, (_, index) => {
    const attribute = machineAttribute(number * MACHINES_A_POLICY + index);
    return `tribo/v1/\${iot:Connection.Thing.Attributes[${attribute}]}`;
  });
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      allow('iot:Connect', [`${arn}:client/\${iot:Connection.Thing.ThingName}`]),
      allow(
        ['iot:Publish', 'iot:RetainPublish', 'iot:Receive'],
        machines.map((topic) => `${arn}:topic/${topic}/*`),
      ),
      allow(
        'iot:Subscribe',
        machines.map((topic) => `${arn}:topicfilter/${topic}/command`),
      ),
      { Effect: 'Deny', Action: 'iot:Publish', Resource: `${arn}:topic/tribo/v1/*/command` },
    ],
  });
}

/** The attribute of a thing that came by just-in-time provisioning, with the id of the certificate that it came by. */
export const CERTIFICATE_ATTRIBUTE = 'certificate';

/**
 * The body of the provisioning template, of type JITP, of a tenant's authorities. A device whose certificate is signed by one becomes a thing when it
 * first connects: its id is the certificate's common name. Its tenant is not for the certificate to say, so that an authority can make devices of
 * nobody else. It speaks for no machine until it is bound to one.
 * https://docs.aws.amazon.com/iot/latest/developerguide/jit-provisioning.html
 */
export function provisioningTemplate(tenant: string, thingType: string, policies: readonly string[]): string {
  const [id, certificate] = ['AWS::IoT::Certificate::CommonName', 'AWS::IoT::Certificate::Id'];
  const noMachines = Array.from({ length: policies.length * MACHINES_A_POLICY }, (_, index) => [
    machineAttribute(index),
    NO_MACHINE,
  ]);
  const resources = {
    thing: {
      Type: 'AWS::IoT::Thing',
      Properties: {
        ThingName: { Ref: id },
        ThingTypeName: thingType,
        AttributePayload: {
          tenant,
          // Of another certificate's thing it is another, so that in no case the one is taken for the other.
          [CERTIFICATE_ATTRIBUTE]: { Ref: certificate },
          ...(Object.fromEntries(noMachines) as object),
        },
      },
      // Whoever has the authority's key gets no device that is there already: not another tenant's, not one that was disabled or has a new secret.
      OverrideSettings: { AttributePayload: 'FAIL', ThingTypeName: 'FAIL' },
    },
    certificate: {
      Type: 'AWS::IoT::Certificate',
      Properties: { CertificateId: { Ref: certificate }, Status: 'ACTIVE' },
    },
    ...Object.fromEntries(
      policies.map((PolicyName, index) => [`policy${index}`, { Type: 'AWS::IoT::Policy', Properties: { PolicyName } }]),
    ),
  };
  const parameters = [id, certificate].map((parameter) => [parameter, { Type: 'String' }]);
  return JSON.stringify({ Parameters: Object.fromEntries(parameters) as object, Resources: resources });
}

function allow(Action: string | readonly string[], Resource: readonly string[]) {
  return { Effect: 'Allow', Action, Resource };
}
