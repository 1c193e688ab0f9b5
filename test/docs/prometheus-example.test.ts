import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly annotations: { readonly summary: string };
}

const scraped = parse(read('environments/prometheus.yaml')) as {
  readonly rule_files: readonly string[];
  readonly scrape_configs: readonly { readonly job_name: string }[];
};
const rules = scraped.rule_files
  .map((file) => parse(read(join('environments', file))) as { readonly groups: readonly { rules: AlertRule[] }[] })
  .flatMap(({ groups }) => groups.flatMap((group) => group.rules));

describe('the Prometheus example', () => {
  it('has rules that each have a name of their own', () => {
    expect(rules.length).toBeGreaterThan(0);
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  });

  it.each(rules.map((rule) => [rule.alert, rule] as const))(
    '%s asks for metrics that there are, and says what is wrong',
    (_name, rule) => {
      const sources = globSync('services/**/*.ts', { cwd: root, exclude: ['**/*.test.ts'] }).map(read);
      const metrics = rule.expr.match(/\b(tribo|db_client)_\w+/g) ?? [];
      const declared = metrics.map((metric) => metric.replace(/_(bucket|count|sum)$/, ''));
      for (const metric of declared) expect(sources.some((source) => source.includes(`'${metric}'`))).toBe(true);
      const jobs = scraped.scrape_configs.map(({ job_name }) => `up{job="${job_name}"}`);
      expect(metrics.length > 0 || jobs.some((job) => rule.expr.includes(job))).toBe(true);
      expect(rule.for ?? '1m').toMatch(/^\d+[sm]$/);
      expect(rule.annotations.summary).not.toBe('');
    },
  );
});
