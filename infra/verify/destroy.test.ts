import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { destroyAll } from './destroy.ts';
import { Steps } from './steps.ts';

const LOST =
  'Error: deleting Application AutoScaling Target (service/tribo-akron-dev/api-gateway): operation error Application Auto Scaling: DeregisterScalableTarget, https response error StatusCode: 400, ValidationException: No scalable target found for service namespace: ecs, resource ID: service/tribo-akron-dev/api-gateway, scalable dimension: ecs:service:DesiredCount';
const NOT_EMPTY = 'Error: deleting Route53 Hosted Zone (Z0): HostedZoneNotEmpty';

let printed: string[];

beforeEach(() => {
  printed = [];
  jest
    .spyOn(console, 'log')
    .mockImplementation((line: string) => void printed.push(line.replace(/\(\d+ s\)/, '(0 s)')));
});

afterEach(() => {
  jest.restoreAllMocks();
});

/** A stack of which `left` is there once it was destroyed, or whose destruction fails. */
function stack(
  name: string,
  { fails, left = [] }: { readonly fails?: string; readonly left?: readonly string[] } = {},
) {
  return {
    name,
    terraform: {
      destroy: () => (fails === undefined ? Promise.resolve() : Promise.reject(new Error(fails))),
      held: () => Promise.resolve(left),
    },
  };
}

async function destroyed(...stacks: readonly ReturnType<typeof stack>[]): Promise<boolean> {
  const steps = new Steps();
  await destroyAll(steps, stacks);
  return steps.end();
}

describe('what was applied is destroyed', () => {
  it('whole, the last one first', async () => {
    expect(await destroyed(stack('platform'), stack('foundation'))).toBe(true);
    expect(printed).toEqual([
      'ok   platform is destroyed (0 s)',
      'ok   foundation is destroyed (0 s)',
      '2 passed, 0 failed',
    ]);
  });

  it('and a failure is told of those that are destroyed later and fail, too', async () => {
    const stacks = [stack('platform', { fails: LOST }), stack('data'), stack('foundation', { fails: NOT_EMPTY })];
    expect(await destroyed(...stacks)).toBe(false);
    expect(printed).toEqual([
      `FAIL platform is destroyed (0 s)\n${LOST}`,
      'ok   data is destroyed (0 s)',
      `FAIL foundation is destroyed, after the failure of platform (0 s)\n${NOT_EMPTY}`,
      '1 passed, 2 failed',
    ]);
  });

  it('and all failures before are told', async () => {
    const stacks = ['platform', 'data', 'foundation'].map((name) => stack(name, { fails: NOT_EMPTY }));
    expect(await destroyed(...stacks)).toBe(false);
    expect(printed[2]).toBe(`FAIL foundation is destroyed, after the failure of platform, data (0 s)\n${NOT_EMPTY}`);
  });

  it('with nothing left of it', async () => {
    expect(await destroyed(stack('platform', { left: ['aws_route53_record.api'] }), stack('foundation'))).toBe(false);
    expect(printed).toEqual([
      'FAIL platform is destroyed (0 s)\nthese are left: aws_route53_record.api',
      'ok   foundation is destroyed (0 s)',
      '1 passed, 1 failed',
    ]);
  });
});
