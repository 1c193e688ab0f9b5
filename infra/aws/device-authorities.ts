import { createHash, X509Certificate } from 'node:crypto';
import type { TerraformResource } from 'cdktf';
import { Construct } from 'constructs';
import { IamRole } from '@cdktf/provider-aws/lib/iam-role/index.js';
import { IamRolePolicy } from '@cdktf/provider-aws/lib/iam-role-policy/index.js';
import { IotCaCertificate } from '@cdktf/provider-aws/lib/iot-ca-certificate/index.js';
import { IotProvisioningTemplate } from '@cdktf/provider-aws/lib/iot-provisioning-template/index.js';
import { provisioningTemplate } from '../../adapters/aws/iot-core-device-registry/device-policy.ts';
import type { Environment } from '../../core/decision/environment.ts';
import type { AwsStack } from './aws-stack.ts';
import { policy, trust, type Statement } from './policy.ts';

type Authorities = NonNullable<Environment['devices']>['authorities'];

interface DeviceAuthoritiesProps {
  readonly authorities: Authorities;
  /** The type of the devices' things. */
  readonly thingType: string;
  /** The names of the policies that each device has. */
  readonly policies: readonly string[];
  /** What has to be there before a device comes. */
  readonly after: readonly TerraformResource[];
}

/** IoT Core takes no longer names of templates. */
const MAX_TEMPLATE_NAME = 36;

/**
 * The site's own authorities, known to IoT Core: a device with a certificate of one is provisioned as it first connects, by the template of the
 * authority's tenant. They are registered for clients that name their host in the handshake (SNI), as any of IoT Core's does: such an authority has not
 * to be proven by a certificate with a code of the account.
 */
export class DeviceAuthorities extends Construct {
  constructor(
    scope: Construct,
    id: string,
    stack: AwsStack,
    { authorities, thingType, policies, after }: DeviceAuthoritiesProps,
  ) {
    super(scope, id);
    const { names, region } = stack.site;
    const role = new IamRole(this, 'role', {
      name: names.of('device-provisioning', 64),
      description: 'IoT Core: make things of devices with a certificate of an authority of the site',
      assumeRolePolicy: trust('iot.amazonaws.com', stack.account),
    });
    const rights = new IamRolePolicy(this, 'rights', {
      name: 'provision-devices',
      role: role.id,
      policy: policy(provisioningRights(`arn:${stack.partition}:iot:${region}:${stack.account}`, thingType, policies)),
    });
    const tenants = [...new Set(authorities.map(({ tenant }) => tenant))];
    const templates = new Map(
      tenants.map((tenant) => [
        tenant,
        new IotProvisioningTemplate(this, `template-${tenant}`, {
          name: names.of(`devices-${tenant}`, MAX_TEMPLATE_NAME),
          description: `Devices of ${tenant} with a certificate of its authority`,
          type: 'JITP',
          enabled: true,
          provisioningRoleArn: role.arn,
          templateBody: provisioningTemplate(tenant, thingType, policies),
          dependsOn: [rights, ...after],
        }),
      ]),
    );
    for (const { tenant, certificate } of authorities)
      new IotCaCertificate(this, `authority-${digestOf(certificate)}`, {
        active: true,
        allowAutoRegistration: true,
        // In one writing, however the environment's lines are broken: were it read back in another, each plan would make the authority anew.
        caCertificatePem: new X509Certificate(certificate).toString(),
        certificateMode: 'SNI_ONLY',
        registrationConfig: { roleArn: role.arn, templateName: templates.get(tenant)!.name },
      });
  }
}

/**
 * Of AWSIoTThingsRegistration, the policy of AWS for this, what the template has: nothing of groups, of new policies and of certificates by request, and
 * nothing that changes or detaches what is there.
 * https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSIoTThingsRegistration.html
 */
function provisioningRights(arn: string, thingType: string, policies: readonly string[]): readonly Statement[] {
  const allow = (Action: readonly string[], Resource: string | readonly string[]): Statement => ({
    ...{ Effect: 'Allow', Action, Resource },
  });
  return [
    // Of no resource, or of a certificate in the newest edition of the service authorization reference alone.
    allow(
      [
        ...['iot:RegisterThing', 'iot:RegisterCertificate', 'iot:AttachThingPrincipal', 'iot:ListThingPrincipals'],
        ...['iot:ListPrincipalThings', 'iot:ListPrincipalPolicies', 'iot:ListPolicyPrincipals'],
        'iot:ListAttachedPolicies',
      ],
      '*',
    ),
    allow(['iot:CreateThing', 'iot:DescribeThing'], `${arn}:thing/*`),
    allow(
      ['iot:DescribeCertificate', 'iot:UpdateCertificate', 'iot:AttachPolicy', 'iot:AttachPrincipalPolicy'],
      `${arn}:cert/*`,
    ),
    allow(['iot:DescribeThingType'], `${arn}:thingtype/${thingType}`),
    allow(
      ['iot:GetPolicy', 'iot:ListTargetsForPolicy'],
      policies.map((name) => `${arn}:policy/${name}`),
    ),
  ];
}

/** By which an authority stays what it is where others are listed before it. */
function digestOf(certificate: string): string {
  return createHash('sha256').update(new X509Certificate(certificate).raw).digest('hex').slice(0, 12);
}
