import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { planAws } from '../../core/decision/aws-plan.ts';
import { demandOf, HOURS_A_MONTH } from '../../core/decision/demand.ts';
import type { Environment } from '../../core/decision/environment.ts';
import { sum } from '../../core/decision/plan.ts';
import type { PriceItem } from '../../core/decision/prices.ts';
import { loadPrices, loadSites } from '../../services/shared/environments/environment-files.ts';
import { changed, synthesized, type Attributes } from '../testing/synthesized.ts';

const ENVIRONMENTS = join(import.meta.dirname, '../../environments');
const prices = loadPrices(join(ENVIRONMENTS, 'prices'));

const atAws = loadSites(ENVIRONMENTS)
  .flatMap((site) => site.environments)
  .map(({ environment }) => environment)
  .filter(({ regions }) => regions[0]!.aws !== undefined)
  .flatMap((environment): readonly (readonly [string, Environment])[] => {
    const name = `${environment.site}.${environment.stage}`;
    const { switches } = environment;
    return [
      [name, environment],
      ...(name === 'akron.prod'
        ? [[`${name} with Kafka`, changed(environment, { switches: { ...switches, eventStream: 'kafka' } })] as const]
        : []),
    ];
  });

describe.each(atAws)('%s: what is made at AWS is what is priced', (_name, environment) => {
  const { lines } = planAws(environment, demandOf(environment), prices.aws);
  const site = synthesized(environment);
  const priced = (...items: readonly PriceItem[]) =>
    sum(lines.filter(({ item }) => items.includes(item)).map(({ quantity }) => quantity));
  const byTheHour = (...items: readonly PriceItem[]) => priced(...items) / HOURS_A_MONTH;
  const numbers = (type: string, of: (is: Attributes) => number) =>
    sum(site.resources.filter((resource) => resource.type === type).map(({ is }) => of(is)));
  const count = (type: string) => numbers(type, () => 1);

  it('streams', () => {
    expect(numbers('aws_kinesis_stream', (is) => is['shard_count'] as number)).toBe(byTheHour('shardHour'));
    const isKept = environment.retention.streamHours > 24;
    expect(byTheHour('shardExtendedHour')).toBe(isKept ? byTheHour('shardHour') : 0);
    expect(numbers('aws_msk_cluster', (is) => is['number_of_broker_nodes'] as number)).toBe(
      byTheHour('kafkaBrokerHour'),
    );
    expect(numbers('aws_msk_cluster', diskGb)).toBe(priced('kafkaStorageGb'));
  });

  it('database, with its standby and its copy elsewhere', () => {
    const copies = numbers('aws_db_instance', (is) => (is['multi_az'] === true ? 2 : 1));
    const gb = site.one('aws_db_instance', 'server-instance')['allocated_storage'] as number;
    expect(copies * gb).toBe(priced('databaseStorageGb'));
    // Of what is larger than the largest class several times its price is counted.
    const hours = byTheHour('databaseSmallHour', 'databaseMediumHour', 'databaseLargeHour', 'databaseXlargeHour');
    expect(hours % copies).toBe(0);
    expect(new Set(site.of('aws_db_instance').map((is) => is['instance_class'])).size).toBe(1);
  });

  it('services', () => {
    const copiesOf = (task: Attributes) => {
      const [name] = /[a-z]+-(service|engine|gateway)$/.exec(task['family'] as string)!;
      return site.one('aws_ecs_service', `${name}-service`)['desired_count'] as number;
    };
    const together = (attribute: 'cpu' | 'memory') =>
      numbers('aws_ecs_task_definition', (is) => (Number(is[attribute]) / 1024) * copiesOf(is));
    expect(together('cpu')).toBeCloseTo(byTheHour('vcpuHour'), 6);
    expect(together('memory')).toBeCloseTo(byTheHour('memoryGbHour'), 6);
  });

  it('network', () => {
    expect(count('aws_nat_gateway')).toBe(byTheHour('natHour'));
    const inZones = ({ vpc_endpoint_type: type, subnet_ids: subnets }: Attributes) =>
      type === 'Interface' ? (subnets as readonly string[]).length : 0;
    expect(numbers('aws_vpc_endpoint', inZones)).toBe(byTheHour('endpointHour'));
    const ofBalancers = numbers('aws_lb', ({ subnets }) => (subnets as readonly string[]).length);
    expect(count('aws_eip') + ofBalancers).toBe(byTheHour('publicAddressHour'));
    expect(count('aws_lb')).toBe(byTheHour('balancerHour'));
    expect(count('aws_wafv2_web_acl')).toBe(priced('firewallMonth'));
  });

  it('keys, and no more secrets than are priced', () => {
    expect(count('aws_kms_key')).toBe(priced('keyMonth'));
    expect(count('aws_secretsmanager_secret')).toBeLessThanOrEqual(priced('secretMonth'));
  });

  it('the warehouse, where it is priced', () => {
    expect(count('aws_athena_workgroup')).toBe(priced('queryTb') > 0 ? 1 : 0);
  });
});

function diskGb({ number_of_broker_nodes: brokers, broker_node_group_info: info }: Attributes): number {
  const { storage_info: storage } = info as { readonly storage_info: { readonly ebs_storage_info: Attributes } };
  return (brokers as number) * (storage.ebs_storage_info['volume_size'] as number);
}
