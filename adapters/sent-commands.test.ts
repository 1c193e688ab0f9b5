import { describe, expect, it } from '@jest/globals';
import type { MachineKey } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import { SentCommands } from './sent-commands.ts';

const PRESS = 'acme/akron/press-7' as MachineKey;

function remembering(max: number) {
  const commands = new SentCommands(max, new HeldClock(1000));
  const sent: string[] = [];
  const send = (id: string, expiresAtMs = 2000, outcome = Promise.resolve()) =>
    commands.once(PRESS, { id, payload: new Uint8Array(), expiresAtMs }, () => {
      sent.push(id);
      return outcome;
    });
  return { send, sent };
}

describe('sent commands', () => {
  it('are sent once until they expire', async () => {
    const { send, sent } = remembering(10);
    await Promise.all([send('a'), send('a'), send('b')]);
    await send('expired', 900);
    await send('expired', 900);
    expect(sent).toEqual(['a', 'b', 'expired', 'expired']);
  });

  it('are sent again when that failed, and both who waited hear of it', async () => {
    const { send, sent } = remembering(10);
    const failed = Promise.reject(new Error('no connection'));
    await Promise.all(
      [send('a', 2000, failed), send('a')].map((each) => expect(each).rejects.toThrow('no connection')),
    );
    await send('a');
    expect(sent).toEqual(['a', 'a']);
  });

  it('are sent for those who still wait when the one who began gives it up', async () => {
    const { send, sent } = remembering(10);
    const givenUp = Promise.reject(new PortError('cancelled', 'the first caller left'));
    const [first, ...others] = await Promise.allSettled([send('a', 2000, givenUp), send('a'), send('a')]);
    expect(first.status).toBe('rejected');
    expect(others.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    expect(sent).toEqual(['a', 'a']);
  });

  it('are forgotten beyond their number: first those that have expired, then the oldest', async () => {
    const { send, sent } = remembering(2);
    await send('a');
    await send('expired', 900);
    await send('b');
    await send('a');
    await send('c');
    await send('a');
    expect(sent).toEqual(['a', 'expired', 'b', 'c', 'a']);
  });
});
