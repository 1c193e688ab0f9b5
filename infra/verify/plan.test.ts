import { describe, expect, it } from '@jest/globals';
import { changesOf, unexplained, type Change } from './plan.ts';

function planOf(
  actions: readonly string[],
  before: object | null,
  after: object | null,
  after_unknown: object = {},
  mode = 'managed',
) {
  const change = { actions, before, after, after_unknown };
  return { resource_changes: [{ type: 'aws_kms_key', address: 'aws_kms_key.key', mode, change }] };
}

const update: Change = {
  type: 'aws_kms_key',
  address: 'aws_kms_key.key',
  actions: ['update'],
  attributes: ['rotation_period_in_days'],
};
const drift = { 'aws_kms_key.rotation_period_in_days': 'moto does not say it' };

describe('what a plan changes', () => {
  it.each([
    ['another value', { days: 1, name: 'a' }, { days: 2, name: 'a' }, {}, ['days']],
    ['a value within', { rule: [{ days: 1 }] }, { rule: [{ days: 2 }] }, {}, ['rule']],
    ['a value that there was not', {}, { days: 2 }, {}, ['days']],
    ['what is known once it is applied', { arn: 'a' }, {}, { arn: true }, ['arn']],
    ['what is known in part', { rule: [{ id: 'a' }] }, { rule: [{}] }, { rule: [{ id: true }] }, ['rule']],
    ['nothing', { days: 1 }, { days: 1 }, { rule: [false] }, []],
  ])('is %s', (_, before, after, unknown, attributes) => {
    expect(changesOf(planOf(['update'], before, after, unknown))).toEqual([{ ...update, attributes }]);
  });

  it('is not what stays, nor what is read', () => {
    expect(changesOf(planOf(['no-op'], { days: 1 }, { days: 1 }))).toEqual([]);
    expect(changesOf(planOf(['read'], null, {}, {}, 'data'))).toEqual([]);
    expect(changesOf({})).toEqual([]);
  });
});

describe('a second plan', () => {
  it('may change what is named, which is told', () => {
    const used = new Set<string>();
    expect(unexplained([update], drift, used)).toEqual([]);
    expect([...used]).toEqual(['aws_kms_key.rotation_period_in_days']);
  });

  it('may not change another attribute, nor that one of another type', () => {
    const both = { ...update, attributes: ['rotation_period_in_days', 'policy'] };
    expect(unexplained([both], drift, new Set())).toEqual(['aws_kms_key.key: update: policy']);
    const other = { ...update, type: 'aws_db_instance', address: 'aws_db_instance.db' };
    expect(unexplained([other], drift, new Set())).toEqual(['aws_db_instance.db: update: rotation_period_in_days']);
  });

  it.each([['create'], ['delete'], ['delete', 'create']])('may not %s %s anything', (...actions) => {
    const change = { ...update, actions };
    expect(unexplained([change], drift, new Set())).toEqual([
      `aws_kms_key.key: ${actions.join(', ')}: rotation_period_in_days`,
    ]);
  });

  it('may not be one that changes nothing that can be named', () => {
    expect(unexplained([{ ...update, attributes: [] }], drift, new Set())).toEqual(['aws_kms_key.key: update: ']);
  });
});
