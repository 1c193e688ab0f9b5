import { describe, expect, it } from '@jest/globals';
import { devicePolicy, provisioningTemplate } from './device-policy.ts';

describe('the policy of devices', () => {
  it.each(['arn:aws:iot:ap-southeast-1:123456789012', 'arn:aws-us-gov:iot:us-gov-west-1:123456789012'] as const)(
    'has the 2,048 characters that IoT Core takes at most, of %s too',
    (arn) => {
      for (const number of [0, 3]) expect(devicePolicy(arn, number).length).toBeLessThanOrEqual(2048);
    },
  );

  it('begins with the next machine where the one before it ends', () => {
    const arn = 'arn:aws:iot:eu-central-1:123456789012';
    expect(devicePolicy(arn)).toContain('Attributes[m6]');
    expect(devicePolicy(arn)).not.toContain('Attributes[m7]');
    expect(devicePolicy(arn, 1)).toContain('Attributes[m7]');
  });
});

describe('the template of just-in-time provisioning', () => {
  it('makes a thing of the device with its certificate and policies', () => {
    const { Parameters, Resources } = JSON.parse(provisioningTemplate('tribo-device', ['one', 'two'])) as {
      Parameters: object;
      Resources: { thing: { Properties: { AttributePayload: object } } };
    };
    expect(Object.keys(Parameters)).toEqual([
      'AWS::IoT::Certificate::CommonName',
      'AWS::IoT::Certificate::Organization',
      'AWS::IoT::Certificate::Id',
    ]);
    expect(Resources).toMatchObject({
      thing: {
        Properties: {
          ThingName: { Ref: 'AWS::IoT::Certificate::CommonName' },
          ThingTypeName: 'tribo-device',
          AttributePayload: { tenant: { Ref: 'AWS::IoT::Certificate::Organization' }, m0: '=', m13: '=' },
        },
      },
      certificate: { Properties: { CertificateId: { Ref: 'AWS::IoT::Certificate::Id' }, Status: 'ACTIVE' } },
      policy0: { Properties: { PolicyName: 'one' } },
      policy1: { Properties: { PolicyName: 'two' } },
    });
    expect(Resources.thing.Properties.AttributePayload).not.toHaveProperty('m14');
  });
});
