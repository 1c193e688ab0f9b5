import { environmentSchema, type Environment } from '#core/decision/environment.ts';

/** A valid environment, with what a test changes in it. */
export function sampleEnvironment(changes: Readonly<Record<string, unknown>> = {}): Environment {
  return environmentSchema.parse({
    site: 'akron',
    stage: 'prod',
    provider: 'aws',
    domain: 'tribo.akron.example',
    regions: [{ aws: 'us-east-1', azure: 'eastus', gcp: 'us-central1' }],
    residency: ['US'],
    tenants: ['acme'],
    workload: {
      machines: 200,
      messageIntervalS: 10,
      readingsPerMessage: 1,
      bytesPerMessage: 1024,
      metricsPerMachine: 1,
    },
    sizes: 'standard',
    retention: { readingsDays: 30, rollupsDays: 365, waveformsDays: 365, backupDays: 14 },
    network: { range: '10.40.0.0/16' },
    identity: { issuer: 'https://id.akron.example', audience: 'tribo' },
    budget: { usdPerMonth: 1000, tell: ['it@akron.example'] },
    tags: { project: 'tribo', costCenter: 'manufacturing', owner: 'it@akron.example' },
    ...changes,
  });
}
