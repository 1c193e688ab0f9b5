import { sampleNotice, sampleActivation } from '#core/contracts/sample-alarm.ts';
import {
  deployedChecks,
  VERIFICATION_MARK,
  type Verification,
  type VerificationTools,
} from '#core/contracts/verification.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import type { Notifier } from '#core/ports/notifier.ts';

const MESSAGE = 'This is a test of notifications by tribo verify: no machine is concerned, nothing is to be done.';

/** Sends one message that says that it is a test, where it was asked for: people receive it. */
export async function notifierVerification(
  open: () => Promise<Notifier>,
  { run, notify }: Pick<VerificationTools, 'run' | 'notify'>,
  { target, needs }: { readonly target: string; readonly needs: string },
): Promise<Verification> {
  const send = async () => {
    const notifier = await open();
    try {
      await notifier.send({ id: `${VERIFICATION_MARK}-${run}`, notice: testNotice() });
    } finally {
      await notifier.close();
    }
  };
  const name = `${target} takes a message that says that it is a test`;
  return {
    makes: notify ? `one message to ${target}, which stays` : 'nothing',
    needs,
    asksFor: '--notify',
    contracts: [
      notify
        ? deployedChecks('notifier', [{ name, run: send }], [ARRIVAL])
        : deployedChecks('notifier', [], [{ name, why: 'people would be told', byHand: 'run it with --notify' }]),
    ],
    sweep: async () => 0,
    close: async () => undefined,
  };
}

const ARRIVAL = {
  name: 'it reaches the people it is for',
  why: 'the service has taken it, and delivers it by itself',
  byHand: 'ask them',
};

function testNotice() {
  return sampleNotice(
    sampleActivation({
      rule: VERIFICATION_MARK,
      machine: `${VERIFICATION_MARK}/${VERIFICATION_MARK}/${VERIFICATION_MARK}` as MachineKey,
      atMs: Date.now(),
      part: {
        title: 'Test of notifications',
        message: MESSAGE,
        consequence: 'none: it is a test',
        response: 'none: it is a test',
        priority: 'low',
      },
    }),
  );
}
