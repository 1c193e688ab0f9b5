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
  const template = JSON.parse(provisioningTemplate('acme', 'tribo-device', ['one', 'two'])) as {
    Parameters: object;
    Resources: { thing: { Properties: { AttributePayload: object }; OverrideSettings: object } };
  };

  it('makes a thing of the device with its certificate and policies, of a tenant that no certificate names', () => {
    const { Parameters, Resources } = template;
    expect(Object.keys(Parameters)).toEqual(['AWS::IoT::Certificate::CommonName', 'AWS::IoT::Certificate::Id']);
    expect(Resources).toMatchObject({
      thing: {
        Properties: {
          ThingName: { Ref: 'AWS::IoT::Certificate::CommonName' },
          ThingTypeName: 'tribo-device',
          AttributePayload: {
            ...{ tenant: 'acme', certificate: { Ref: 'AWS::IoT::Certificate::Id' } },
            ...{ m0: '=', m13: '=' },
          },
        },
      },
      certificate: { Properties: { CertificateId: { Ref: 'AWS::IoT::Certificate::Id' }, Status: 'ACTIVE' } },
      policy0: { Properties: { PolicyName: 'one' } },
      policy1: { Properties: { PolicyName: 'two' } },
    });
    expect(Resources.thing.Properties.AttributePayload).not.toHaveProperty('m14');
  });

  it('fails for a device that is there already', () => {
    expect(template.Resources.thing.OverrideSettings).toEqual({ AttributePayload: 'FAIL', ThingTypeName: 'FAIL' });
  });

  it('has the 10,240 characters that IoT Core takes at most', () => {
    const names = Array.from({ length: 4 }, (_, index) => `${'a'.repeat(127)}${index}`);
    expect(provisioningTemplate('a'.repeat(24), 'a'.repeat(128), names).length).toBeLessThanOrEqual(10_240);
  });
});
