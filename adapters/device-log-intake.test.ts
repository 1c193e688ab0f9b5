import { describe, expect, it } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import { RecordingIntake } from '#core/contracts/recording-intake.ts';
import { until } from '#core/contracts/until.ts';
import type { DeviceId, MachineKey, TenantId } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import { DeviceBindings } from '#core/ingestion/device-bindings.ts';
import type { Device } from '#core/ports/device-registry.ts';
import type { DeliveryBatch } from '#core/ports/event-stream.ts';
import { DeviceLogIntake, type DeviceLogEvent } from './device-log-intake.ts';

const [PRESS, PUMP] = ['acme/akron/press-7' as MachineKey, 'acme/akron/pump-2' as MachineKey];

type Logged =
  | { readonly kind: 'message'; readonly device: string; readonly machine: MachineKey; readonly text: string }
  | { readonly kind: 'presence'; readonly device: string; readonly text: string };

const message = (device: string, text: string, machine = PRESS): Logged => ({ kind: 'message', device, machine, text });
const deed = (device: string, text: string): Logged => ({ kind: 'presence', device, text });

function deviceOf(id: string, enabled = true, machines = [PRESS]): Device {
  return { id: id as DeviceId, tenant: 'acme' as TenantId, machines, enabled, createdAtMs: 1 };
}

/** A log's intake over a registry of the devices, which answers when `answering` says so. */
function start(registered: readonly Device[], lookupPatienceMs = 60_000) {
  const devices = new Map(registered.map((device) => [device.id, device]));
  const state = { asked: [] as string[], answering: (_id: string): Promise<unknown> => Promise.resolve() };
  const registry = {
    getDevice: async (id: DeviceId) => {
      state.asked.push(id);
      await state.answering(id);
      return devices.get(id);
    },
    listDevices: async () => [...devices.values()],
    onChange: () => () => undefined,
  };
  const intake = new RecordingIntake();
  const [refusals, problems, told]: [string[], string[], string[]] = [[], [], []];
  const overdue = new AbortController();
  const bindings = new DeviceBindings(registry, systemClock, () => undefined);
  const telling = { wait: (_text: string): Promise<unknown> => Promise.resolve() };
  const log = new DeviceLogIntake<Logged>({
    ...{ intake, devices: registry, bindings, offerAgainMs: 20, lookupPatienceMs, overdue: overdue.signal },
    refuse: (reason, tenant) => refusals.push(`${reason} ${tenant}`),
    onProblem: (what, error) => problems.push(`${what}: ${(error as Error).message}`),
    isForeign: (access, { machine }) => !access.machines.has(machine),
    read: ({ device, machines }, { machine, text }) => {
      if (!machines.has(machine)) return 'foreign-machine';
      const content = { kind: 'telemetry', payload: Buffer.from(text) } as const;
      return text === 'status' ? undefined : { tenant: device.tenant, machine, sender: device.id, content };
    },
    tell: async ({ id }, { text }) => {
      await telling.wait(text);
      told.push(`${id} ${text}`);
    },
  });
  /** Hands the records over as a batch; says how that settled, or that nothing was settled. */
  const handle = async (...records: readonly Logged[]): Promise<string> => {
    let settled = 'nothing';
    const events = records.map((record) => ({ record }) as DeviceLogEvent<Logged>);
    const batch: DeliveryBatch = {
      ...{ events, redeliveries: 0 },
      ack: async () => {
        settled = 'all';
      },
      nack: async (failed, { delayMs } = {}) => {
        settled = `all but ${failed.join()} after ${delayMs ?? 'a while'}`;
      },
    };
    await log.handle(batch, new AbortController().signal);
    return settled;
  };
  return { intake, devices, state, refusals, problems, told, telling, overdue, bindings, handle };
}

const unavailable = () => Promise.reject(new PortError('unavailable', 'the registry is away'));

describe('what devices sent through a cloud', () => {
  it('is offered side by side, and settled once all of it is durable', async () => {
    const { intake, handle } = start([deviceOf('gauge-1'), deviceOf('gauge-2')]);
    intake.held = Promise.withResolvers();
    const settled = handle(message('gauge-1', '1'), message('gauge-2', '2'), message('gauge-1', '3'));
    await intake.received(3);
    let isSettled = false;
    void settled.then(() => (isSettled = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(isSettled).toBe(false);
    intake.held.resolve();
    expect(await settled).toBe('all');
    expect(intake.messages[0]).toMatchObject({ tenant: 'acme', machine: PRESS, sender: 'gauge-1' });
  });

  it('waits until intake takes anything', async () => {
    const { intake, handle } = start([deviceOf('gauge-1')]);
    intake.shut();
    const settled = handle(message('gauge-1', '1'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(intake.offered).toEqual([]);
    intake.open();
    expect(await settled).toBe('all');
  });

  it('comes again soon where intake refused it, and that alone, which is no problem', async () => {
    const { intake, handle, problems } = start([deviceOf('gauge-1'), deviceOf('gauge-2', true, [PUMP])]);
    intake.refusals = 1;
    expect(await handle(message('gauge-1', '1'), message('gauge-2', '2', PUMP))).toBe('all but 0 after 20');
    expect(intake.payloads()).toEqual(['2']);
    expect(problems).toEqual([]);
  });

  it.each([
    ['of a device that nobody registered', message('stranger', '1'), 'bad-credentials undefined'],
    ['of a device that is disabled', message('gauge-9', '1'), 'bad-credentials undefined'],
    ['of a client whose id no device can have', message('n/a', '1'), 'bad-credentials undefined'],
    ['about a machine that is not its own', message('gauge-1', '1', PUMP), 'foreign-machine acme'],
  ])('is refused and counted, and done with: %s', async (_what, record, refusal) => {
    const { intake, handle, refusals } = start([deviceOf('gauge-1'), deviceOf('gauge-9', false)]);
    expect(await handle(record, message('gauge-1', 'good'))).toBe('all');
    expect(refusals).toEqual([refusal]);
    expect(intake.payloads()).toEqual(['good']);
  });

  it('is done with where it is not for intake', async () => {
    const { intake, handle, refusals } = start([deviceOf('gauge-1')]);
    expect(await handle(message('gauge-1', 'status'))).toBe('all');
    expect([...intake.offered, ...refusals]).toEqual([]);
  });

  it('may be about a machine that its device was bound to a moment ago; all of the device keeps its order', async () => {
    const { intake, handle, devices } = start([deviceOf('gauge-1')]);
    await handle(message('gauge-1', '0'));
    devices.set('gauge-1' as DeviceId, deviceOf('gauge-1', true, [PRESS, PUMP]));
    const records = [message('gauge-1', '1'), message('gauge-1', '2', PUMP), message('gauge-1', '3')];
    expect(await handle(...records)).toBe('all');
    expect(intake.payloads()).toEqual(['0', '1', '2', '3']);
  });

  it('asks the registry once about a device that it does not know, however much comes of it', async () => {
    const { handle, state } = start([deviceOf('gauge-1')]);
    const records = Array.from({ length: 50 }, (_, i) => message('stranger', String(i)));
    for (let batch = 0; batch < 3; batch++) await handle(...records, message('gauge-1', '1'));
    expect(state.asked).toEqual(['stranger', 'gauge-1']);
  });
});

describe('a registry that does not answer', () => {
  it('holds back what has to wait for it, the others go on, and it is told once', async () => {
    const { intake, handle, state, problems, told } = start([deviceOf('gauge-1'), deviceOf('gauge-2')]);
    await handle(message('gauge-1', '0'));
    state.answering = unavailable;
    const records = [
      message('gauge-2', '1'),
      message('gauge-1', '2'),
      deed('gauge-3', 'came'),
      message('gauge-2', '3'),
    ];
    expect(await handle(...records)).toBe('all but 0,2,3 after a while');
    expect(intake.payloads()).toEqual(['0', '2']);
    expect(problems).toEqual(['taking what devices sent: the registry is away']);
    state.answering = () => Promise.resolve();
    expect(await handle(records[0]!, records[2]!, records[3]!)).toBe('all');
    expect(intake.payloads()).toEqual(['0', '2', '1', '3']);
    expect(told).toEqual([]);
  });

  it('is asked about all whom it has to be asked about side by side', async () => {
    const ids = Array.from({ length: 20 }, (_, i) => `gauge-${i}`);
    const { handle, state } = start(ids.map((id) => deviceOf(id)));
    const answers = Promise.withResolvers<undefined>();
    state.answering = () => answers.promise;
    const settled = handle(...ids.map((id) => deed(id, 'came')), ...ids.map((id) => message(id, '1')));
    await until(() => state.asked.length === 40);
    answers.resolve(undefined);
    expect(await settled).toBe('all');
  });

  it('is waited for once by what is not for it to answer, and is heard when it answers late', async () => {
    const { intake, handle, state, problems, refusals } = start([deviceOf('gauge-1'), deviceOf('gauge-2')], 20);
    await handle(message('gauge-1', '0'));
    const answers = Promise.withResolvers<undefined>();
    state.answering = () => answers.promise;
    const waiting = [message('gauge-2', '1'), message('stranger', '2'), deed('gauge-2', 'came')];
    expect(await handle(...waiting, message('gauge-1', '3'))).toBe('all but 0,1,2 after a while');
    expect(await handle(...waiting, message('gauge-1', '4'))).toBe('all but 0,1,2 after a while');
    expect(intake.payloads()).toEqual(['0', '3', '4']);
    expect(problems[0]).toBe('taking what devices sent: the device registry has not answered about gauge-2 yet');
    expect(state.asked.slice(1)).toEqual(['gauge-2', 'stranger', 'gauge-2']);
    answers.resolve(undefined);
    await answers.promise;
    await new Promise((resolve) => setImmediate(resolve));
    expect(await handle(...waiting)).toBe('all');
    expect(intake.payloads()).toEqual(['0', '3', '4', '1']);
    expect(refusals).toEqual(['bad-credentials undefined']);
    // These were the answers that came late: nobody was asked about anew.
    expect(state.asked.slice(4)).toEqual([]);
  });

  it('is waited for no longer than until its calls are overdue; nothing is settled', async () => {
    const { handle, state, overdue } = start([]);
    state.answering = () => new Promise(() => undefined);
    const settled = handle(message('gauge-1', '1'));
    overdue.abort();
    await expect(settled).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('what devices did', () => {
  it('is told in order of one device, and of several side by side', async () => {
    const { handle, told, telling } = start([deviceOf('gauge-1'), deviceOf('gauge-2', false)]);
    const slow = Promise.withResolvers<undefined>();
    telling.wait = (text) => (text === 'slow' ? slow.promise : Promise.resolve());
    const records = [deed('gauge-1', 'slow'), deed('gauge-1', 'went'), deed('gauge-2', 'came'), deed('n/a', 'came')];
    const settled = handle(...records, deed('stranger', 'came'));
    await until(() => told.length === 1);
    expect(told).toEqual(['gauge-2 came']);
    slow.resolve(undefined);
    expect(await settled).toBe('all');
    expect(told).toEqual(['gauge-2 came', 'gauge-1 slow', 'gauge-1 went']);
  });

  it('comes again where it could not be told, with what does not pass told by name', async () => {
    const { handle, problems, telling } = start([deviceOf('gauge-1'), deviceOf('gauge-2')]);
    telling.wait = (text) => Promise.reject(new Error(`no room for ${text}`));
    const records = [deed('gauge-1', 'a'), message('gauge-1', '1'), deed('gauge-2', 'b')];
    expect(await handle(...records)).toBe('all but 0,2 after a while');
    expect(problems).toEqual(['a', 'b'].map((text) => `taking what devices sent: no room for ${text}`));
  });
});
