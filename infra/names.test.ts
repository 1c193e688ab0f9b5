import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { STAGES } from '../core/decision/environment.ts';
import { Names } from './names.ts';

const site = fc.stringMatching(/^[a-z][a-z0-9-]{0,22}[a-z0-9]$/);
const environment = fc.record({ site, stage: fc.constantFrom(...STAGES) });
const part = fc.stringMatching(/^[a-z]([a-z-]{0,20}[a-z])?$/);

describe('names of what is provisioned', () => {
  it('are of no other environment', () => {
    fc.assert(
      fc.property(environment, environment, (one, other) => {
        fc.pre(one.site !== other.site || one.stage !== other.stage);
        const [first, second] = [new Names(one), new Names(other)];
        expect(first.base).not.toBe(second.base);
        expect(first.path.startsWith(second.path)).toBe(false);
        expect(first.of('api', 32)).not.toBe(second.of('api', 32));
        expect(first.underscored('messages')).not.toBe(second.underscored('messages'));
      }),
    );
  });

  it('are as long as a service takes at most, of letters, digits and single hyphens at their ends', () => {
    fc.assert(
      fc.property(environment, part, fc.integer({ min: 20, max: 64 }), (of, name, maxLength) => {
        const text = new Names(of).of(name, maxLength);
        expect(text.length).toBeLessThanOrEqual(maxLength);
        expect(text).toMatch(/^[a-z][a-z0-9-]*[a-z0-9]$/);
      }),
    );
  });

  it('say site, stage and part where there is room', () => {
    const names = new Names({ site: 'akron', stage: 'dev' });
    expect(names.of('metrics')).toBe('tribo-akron-dev-metrics');
    expect(names.underscored('messages')).toBe('tribo_akron_dev_messages');
    expect(names.path).toBe('tribo/akron/dev/');
  });

  it('are told apart by a digest where they are cut', () => {
    const long = new Names({ site: 'a-site-of-the-most-letters', stage: 'staging' });
    expect(long.of('api-gateway', 32)).toMatch(/^tribo-a-site-of-the-most-[0-9a-f]{6}$/);
    expect(long.of('api-gateway', 32)).not.toBe(long.of('api-gateways', 32));
  });
});
