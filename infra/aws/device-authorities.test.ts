import { describe, expect, it } from '@jest/globals';
import { provisioningTemplate } from '../../adapters/aws/iot-core-device-registry/device-policy.ts';
import { certificateAuthority } from '../../test/support/self-signed-certificate.ts';
import { changed, shipped, statementsOf, synthesized, type Attributes } from '../testing/synthesized.ts';
import { withAuthorities } from '../testing/variations.ts';

const prod = shipped('akron.prod');
const [first, second, third] = [certificateAuthority().cert, certificateAuthority().cert, certificateAuthority().cert];
const TENANTS = ['acme', 'other'];
const site = synthesized(
  changed(prod, {
    // A pool of Cognito has one tenant.
    ...{ tenants: TENANTS, identity: shipped('gent.prod').identity, accounts: { aws: '123456789012' } },
    devices: {
      authorities: [
        { tenant: 'acme', certificate: first },
        { tenant: 'other', certificate: second },
        { tenant: 'acme', certificate: third },
      ],
    },
  }),
);
const TYPES = ['aws_iot_ca_certificate', 'aws_iot_provisioning_template'];
const POLICIES = ['tribo-akron-prod-device-0', 'tribo-akron-prod-device-1'];
/** By what an authority makes devices. */
const registrationOf = (authority: Attributes) => authority['registration_config'] as Readonly<Record<string, unknown>>;

describe('authorities of devices', () => {
  it('are there where the environment names them, and nothing of them elsewhere', () => {
    const types = (environment: typeof prod) => synthesized(environment).resources.map(({ type }) => type);
    expect(types(prod).filter((type) => TYPES.includes(type))).toEqual([]);
    expect(new Set(types(withAuthorities(prod)).filter((type) => TYPES.includes(type)))).toEqual(new Set(TYPES));
  });

  it('register devices as they first connect, and have not to be proven by a certificate with a code', () => {
    const authorities = site.of('aws_iot_ca_certificate');
    expect(new Set(authorities.map((each) => each['ca_certificate_pem']))).toEqual(new Set([first, second, third]));
    for (const authority of authorities) {
      expect(authority).toMatchObject({
        active: true,
        allow_auto_registration: true,
        certificate_mode: 'SNI_ONLY',
        tags: { Deployment: 'tribo-akron-prod' },
      });
      expect(authority).not.toHaveProperty('verification_certificate_pem');
    }
  });

  it('stay what they are where another is listed before them', () => {
    const pathOfFirst = (certificates: readonly string[]) =>
      synthesized(
        changed(prod, {
          devices: { authorities: certificates.map((certificate) => ({ tenant: 'acme', certificate })) },
        }),
      )
        .found('aws_iot_ca_certificate')
        .find(({ is }) => is['ca_certificate_pem'] === first)?.path;
    expect(pathOfFirst([first])).toContain('authorities/authority-');
    expect(pathOfFirst([third, first])).toBe(pathOfFirst([first]));
  });

  it('are the same, however the environment breaks the lines of their certificates', () => {
    const written = (certificate: string) =>
      synthesized(changed(prod, { devices: { authorities: [{ tenant: 'acme', certificate }] } })).json.platform
        .resource;
    const [begin, end] = ['-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----'];
    const text = first.replaceAll(new RegExp(`${begin}|${end}|\n`, 'g'), '');
    const inLongerLines = [begin, ...text.match(/.{1,76}/g)!, end].join('\n');
    expect(inLongerLines).not.toBe(first);
    expect(written(inLongerLines)).toEqual(written(first));
  });

  it('speak each for its tenant alone, which no certificate of a device names', () => {
    const templates = site.found('aws_iot_provisioning_template');
    expect(templates.map(({ is }) => is['name'])).toEqual([
      'tribo-akron-prod-devices-acme',
      'tribo-akron-prod-devices-other',
    ]);
    for (const [index, { path, is }] of templates.entries()) {
      expect(is).toMatchObject({ type: 'JITP', enabled: true, tags: { Deployment: 'tribo-akron-prod' } });
      expect(path).toContain(`template-${TENANTS[index]}`);
      expect(is['template_body']).toBe(provisioningTemplate(TENANTS[index]!, 'tribo-akron-prod-device', POLICIES));
    }
    const named = site
      .of('aws_iot_ca_certificate')
      .map((each) => [each['ca_certificate_pem'], registrationOf(each)['template_name']]);
    const ofTenant = (tenant: string): unknown => expect.stringMatching(new RegExp(`template-${tenant}_\\w+\\.name}$`));
    expect(Object.fromEntries(named)).toEqual({
      ...{ [first]: ofTenant('acme'), [second]: ofTenant('other'), [third]: ofTenant('acme') },
    });
  });

  it('come after all that a device wants', () => {
    for (const { is } of site.found('aws_iot_provisioning_template'))
      expect(is['depends_on']).toEqual([
        expect.stringMatching(/^aws_iam_role_policy\..*authorities_rights/),
        expect.stringMatching(/^aws_iot_thing_type\./),
        ...POLICIES.map(() => expect.stringMatching(/^aws_iot_policy\./)),
      ]);
  });
});

describe('the role by which IoT Core makes things of devices', () => {
  const role = site.one('aws_iam_role', 'authorities/role');
  const statements = statementsOf(site.one('aws_iam_role_policy', 'authorities/rights')['policy']);

  it('is taken by IoT Core for this account alone', () => {
    expect(statementsOf(role['assume_role_policy'])).toEqual([
      expect.objectContaining({
        Principal: { Service: 'iot.amazonaws.com' },
        Condition: { StringEquals: { 'aws:SourceAccount': '123456789012' } },
      }),
    ]);
    for (const each of site.of('aws_iot_ca_certificate').map(registrationOf))
      expect(each['role_arn']).toMatch(/authorities_role/);
  });

  it('may change no thing, detach nothing, and make no policy', () => {
    const actions = statements.flatMap(({ Action }) => Action);
    expect(actions.filter((action) => !/^iot:(Register|Attach|Describe|Get|List)/.test(action)).toSorted()).toEqual([
      'iot:CreateThing',
      'iot:UpdateCertificate',
    ]);
  });

  it('is of the type and the policies of the site by name', () => {
    const named = statements.flatMap(({ Resource }) => Resource).filter((arn) => /:(thingtype|policy)\//.test(arn));
    expect(named.map((arn) => arn.split(':').at(-1))).toEqual([
      'thingtype/tribo-akron-prod-device',
      ...POLICIES.map((name) => `policy/${name}`),
    ]);
  });
});
