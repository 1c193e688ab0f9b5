import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { shipped, synthesized, type Attributes } from '../testing/synthesized.ts';
import { inCluster, withKafka, withModels, withWarehouse } from '../testing/variations.ts';

const prod = shipped('gent.prod');
const inProd = synthesized(prod, 'gcp');
const inDev = synthesized(shipped('gent.dev'), 'gcp');
const NUMBER = '${data.google_project.project.number}';

describe('the key', () => {
  it('is in the region, renewed, and kept for a month after it was destroyed', () => {
    expect(inProd.one('google_kms_key_ring', 'key/ring')).toMatchObject({
      name: 'tribo-gent-prod',
      location: 'europe-west1',
    });
    expect(inProd.one('google_kms_crypto_key', 'key/key')).toMatchObject({
      purpose: 'ENCRYPT_DECRYPT',
      rotation_period: '7776000s',
      destroy_scheduled_duration: '2592000s',
      lifecycle: { prevent_destroy: true },
    });
    expect(inDev.one('google_kms_crypto_key', 'key/key')['lifecycle']).toEqual({ prevent_destroy: false });
  });

  it("is used by Google's own accounts of what holds data, and by nobody else", () => {
    const { role, members } = inProd.one('google_kms_crypto_key_iam_binding', 'key/users');
    expect(role).toBe('roles/cloudkms.cryptoKeyEncrypterDecrypter');
    expect(members).toEqual([
      ...['artifactregistry', 'cloud-sql', 'pubsub', 'secretmanager'].map(
        (agent) => `serviceAccount:service-${NUMBER}@gcp-sa-${agent}.iam.gserviceaccount.com`,
      ),
      `serviceAccount:service-${NUMBER}@compute-system.iam.gserviceaccount.com`,
      `serviceAccount:service-${NUMBER}@serverless-robot-prod.iam.gserviceaccount.com`,
      expect.stringMatching(/^\$\{data\.google_storage_project_service_account\..*\.member\}$/),
      expect.stringMatching(/^serviceAccount:\$\{data\.google_logging_project_cmek_settings\..*\}$/),
    ]);
  });
});

describe('the network', () => {
  it('has subnets of its own range, by which Google is reached without public addresses, with their traffic in the log', () => {
    const ranges = inProd.of('google_compute_subnetwork').map(({ name, ip_cidr_range: range }) => [name, range]);
    expect(ranges).toEqual([
      ['tribo-gent-prod-brokers', '10.60.128.0/20'],
      ['tribo-gent-prod-services', '10.60.64.0/20'],
    ]);
    for (const subnet of inProd.of('google_compute_subnetwork'))
      expect(subnet).toMatchObject({
        private_ip_google_access: true,
        log_config: expect.objectContaining({ metadata: 'INCLUDE_ALL_METADATA' }),
      });
    expect(inProd.one('google_compute_global_address', 'network/database')).toMatchObject({
      purpose: 'VPC_PEERING',
      address: '10.60.192.0',
      prefix_length: 20,
    });
  });

  it('lets services out by NAT, and brokers not', () => {
    const nat = inProd.one('google_compute_router_nat', 'network/nat');
    expect(nat).toMatchObject({ source_subnetwork_ip_ranges_to_nat: 'LIST_OF_SUBNETWORKS' });
    expect(nat['subnetwork']).toEqual([expect.objectContaining({ name: expect.stringContaining('network_services') })]);
  });

  it('refuses whatever no rule allows, in and out; open to all is the port of devices alone', () => {
    const rules = inProd.of('google_compute_firewall');
    const refusing = rules.filter((rule) => 'deny' in rule);
    expect(refusing.map(({ direction, priority }) => [direction, priority])).toEqual([
      ['EGRESS', 65_000],
      ['INGRESS', 65_000],
    ]);
    const allowed = inProd
      .found('google_compute_firewall')
      .filter(({ is }) => 'allow' in is)
      .map(({ path, is }) => [path.split('/').at(-1), ruleOf(is)]);
    expect(Object.fromEntries(allowed)).toEqual({
      'services-to-apis': ['EGRESS', ['443'], '0.0.0.0/0'],
      'services-to-database': ['EGRESS', ['5432'], '10.60.192.0/20'],
      devices: ['INGRESS', ['8883'], '0.0.0.0/0'],
      'broker-health': ['INGRESS', ['8883'], '35.191.0.0/16 130.211.0.0/22 209.85.152.0/22 209.85.204.0/22'],
      platform: ['INGRESS', ['8884'], expect.stringContaining('network_services')],
      'services-to-brokers': ['EGRESS', ['8884'], expect.stringContaining('network_brokers')],
      'to-brokers': ['EGRESS', ['8884'], expect.stringContaining('network_brokers')],
      'brokers-to-apis': ['EGRESS', ['443'], '199.36.153.8/30'],
    });
    // Each is for somebody: tags of services, or the account of brokers.
    const forAll = rules.filter((rule) => 'allow' in rule && !rule['target_tags'] && !rule['target_service_accounts']);
    expect(forAll).toEqual([]);
  });
});

describe('the registry', () => {
  it('keeps the last thirty images, and lets tags of older ones go', () => {
    const images = inProd.one('google_artifact_registry_repository', 'images');
    expect(images).not.toHaveProperty('docker_config');
    expect(images).toMatchObject({
      format: 'DOCKER',
      kms_key_name: expect.stringContaining('google_kms_crypto_key'),
      cleanup_policies: [
        { id: 'last', action: 'KEEP', most_recent_versions: { keep_count: 30 } },
        { id: 'older', action: 'DELETE', condition: { tag_state: 'ANY', older_than: '7776000s' } },
      ],
    });
  });
});

describe('the APIs of the project', () => {
  const page = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');
  const everything = [
    inProd,
    ...[inCluster, withModels, withKafka, withWarehouse].map((how) => synthesized(how(prod), 'gcp')),
  ];
  const names = new Set(
    everything.flatMap((site) => site.of('google_project_service').map(({ service }) => service as string)),
  );

  it('have the one by which Terraform reads whose account the budget is of', () => {
    expect(inProd.one('google_billing_budget', 'month')['billing_account']).toBe(
      '${data.google_project.project.billing_account}',
    );
    expect(names).toContain('cloudbilling.googleapis.com');
  });

  it.each([...names])('are switched on by hand before the first plan, too: %s', (name) => {
    expect(page).toMatch(new RegExp(`^(gcloud services enable|  ).*\\b${name.replaceAll('.', '\\.')}\\b`, 'm'));
  });
});

describe('the pipeline', () => {
  it("comes in by a token of a run in the stage's environment of the repository, and by no key", () => {
    const subject = 'repo:${var.github_repository}:environment:prod';
    expect(inProd.one('google_iam_workload_identity_pool_provider', 'ci-identity/github')).toMatchObject({
      attribute_mapping: { 'google.subject': 'assertion.sub' },
      attribute_condition: `assertion.sub == "${subject}"`,
      oidc: { issuer_uri: 'https://token.actions.githubusercontent.com' },
    });
    const federation = inProd.one('google_service_account_iam_member', 'ci-identity/federation');
    expect(federation['role']).toBe('roles/iam.workloadIdentityUser');
    expect(federation['member']).toMatch(new RegExp(`/subject/${subject.replace(/[${}.]/g, '\\$&')}$`));
    expect(inProd.resources.filter(({ type }) => type === 'google_service_account_key')).toEqual([]);
  });
});

describe('logs', () => {
  it('are kept as long as the environment says, in the region, encrypted, and once', () => {
    expect(inProd.one('google_logging_project_bucket_config', 'logs/bucket')).toMatchObject({
      location: 'europe-west1',
      retention_days: 30,
      cmek_settings: { kms_key_name: expect.stringContaining('google_kms_crypto_key') },
    });
    const [kept, left] = [
      inProd.one('google_logging_project_sink', 'logs/sink'),
      inProd.one('google_logging_project_exclusion', 'logs/not-by-default'),
    ];
    expect(left['filter']).toBe(kept['filter']);
    expect(kept['filter']).toContain('"tribo-gent-prod-api-gateway"');
  });
});

function ruleOf(rule: Attributes) {
  const [{ ports }] = rule['allow'] as [{ readonly ports: readonly string[] }];
  const ends = (rule['source_ranges'] ?? rule['destination_ranges']) as readonly string[];
  return [rule['direction'], ports, ends.join(' ')];
}
