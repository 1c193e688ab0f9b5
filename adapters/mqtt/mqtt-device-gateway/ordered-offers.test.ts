import { describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { DeviceIntake, DeviceMessage, IntakeReceipt } from '#core/ports/device-gateway.ts';
import { OrderedOffers } from './ordered-offers.ts';

const TAKEN: IntakeReceipt = { accepted: 1, duplicate: 0, rejected: [] };

/** Each message waits until it is answered. */
class AskedIntake implements DeviceIntake {
  readonly accepted: string[] = [];
  readonly asked: { readonly id: string; readonly answer: (error?: PortError) => void }[] = [];

  accept({ content }: DeviceMessage): Promise<IntakeReceipt> {
    const id = Buffer.from(content.payload).toString();
    return new Promise((resolve, reject) => {
      this.asked.push({
        id,
        answer: (error) => {
          if (error) reject(error);
          else {
            this.accepted.push(id);
            resolve(TAKEN);
          }
        },
      });
    });
  }

  isReady(): boolean {
    return true;
  }

  async whenReady(): Promise<void> {}

  /** Of those that it was asked so far. */
  answer(error?: PortError): void {
    for (const each of this.asked.splice(0)) each.answer(error);
  }

  get askedFor(): readonly string[] {
    return this.asked.map(({ id }) => id);
  }
}

function open({ offerAgainMs = 1 } = {}) {
  const [intake, closing, problems] = [new AskedIntake(), new AbortController(), [] as string[]];
  const onProblem = (what: string) => void problems.push(what);
  const offers = new OrderedOffers({ intake, offerAgainMs, closing: closing.signal, onProblem });
  const offer = (id: string, { machine = 'press', comesAgain }: { machine?: string; comesAgain?: AbortSignal } = {}) =>
    offers.offer(
      {
        ...{ tenant: 'acme' as TenantId, machine: `acme/akron/${machine}` as MachineKey, sender: 'gauge-1' },
        content: { kind: 'telemetry', payload: Buffer.from(id) },
      },
      comesAgain,
    );
  return { intake, closing, problems, offers, offer };
}

const busy = new PortError('unavailable', 'the stream does not answer');

describe('what a broker hands on', () => {
  it('is offered at once, many at a time', async () => {
    const { intake, offers, offer } = open();
    const all = Promise.all(['a', 'b', 'c'].map((id) => offer(id)));
    expect([intake.askedFor, offers.atIntake]).toEqual([['a', 'b', 'c'], 3]);
    intake.answer();
    expect(await all).toEqual([true, true, true]);
    expect(offers.atIntake).toBe(0);
  });

  it('keeps the order of a machine where intake refuses one and the next have come, while those of others go on', async () => {
    const { intake, offer } = open();
    const all = Promise.all(['a', 'b'].map((id) => offer(id)));
    intake.asked.shift()!.answer(busy);
    await until(() => intake.asked.length === 1);
    const late = [offer('c'), offer('x', { machine: 'pump' })] as const;
    expect(intake.askedFor).toEqual(['b', 'x']);
    intake.asked.pop()!.answer();
    expect(await late[1]).toBe(true);
    intake.answer(busy);
    await until(() => intake.asked.length === 3);
    expect(intake.askedFor).toEqual(['a', 'b', 'c']);
    const [a, ...behind] = intake.asked.splice(0);
    a!.answer();
    for (const each of behind) each.answer(busy);
    await until(() => intake.asked.length === 2);
    const last = offer('d');
    expect(intake.askedFor).toEqual(['b', 'c', 'd']);
    intake.answer();
    expect([await all, await late[0], await last]).toEqual([[true, true], true, true]);
    expect(intake.accepted).toEqual(['x', 'a', 'b', 'c', 'd']);
  });

  it('is let go where it comes again by another connection, in its order with what came by that', async () => {
    const { intake, offer } = open({ offerAgainMs: 60_000 });
    const connection = new AbortController();
    const gone = Promise.all(['a', 'b'].map((id) => offer(id, { comesAgain: connection.signal })));
    intake.answer(busy);
    connection.abort();
    expect(await gone).toEqual([false, false]);
    const again = Promise.all(['a', 'b'].map((id) => offer(id)));
    intake.answer();
    expect(await again).toEqual([true, true]);
    expect(intake.accepted).toEqual(['a', 'b']);
  });

  it('is not offered again once the gateway closes, and is until then where nobody knows whether the refusal passes', async () => {
    const { intake, closing, problems, offer } = open({ offerAgainMs: 60_000 });
    const refused = offer('a');
    intake.answer(new PortError('permission_denied', 'nobody may'));
    await until(() => problems.length === 1);
    expect(problems).toEqual(['taking a message of gauge-1']);
    closing.abort();
    expect(await refused).toBe(false);
    expect(intake.askedFor).toEqual([]);
  });
});
