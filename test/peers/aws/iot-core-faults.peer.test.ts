import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { RecordingIntake } from '#core/contracts/recording-intake.ts';
import { until } from '#core/contracts/until.ts';
import { retry } from '#core/delivery/retry.ts';
import { machineRef, type MachineKey } from '#core/domain/ids.ts';
import { isOfService } from '#core/errors.ts';
import { deviceTopic } from '#core/ingestion/topics.ts';
import { cutAfter, cutBefore, HttpFaults, late, noFault, type WireFault } from '../http-faults.ts';
import { IotCoreWorlds } from '../iot-core-world.ts';
import { awsError, inTurn } from './aws-faults.ts';

const TIMEOUT_MS = 3000;
const DEVICES = 6;
const MESSAGES_A_DEVICE = 40;
const AGAIN = { maxAttempts: 200, firstDelayMs: 10, longestDelayMs: 200 };
let worlds: IotCoreWorlds;
let wires: HttpFaults[] = [];

beforeAll(async () => {
  worlds = await IotCoreWorlds.start();
}, 300_000);

afterEach(async () => {
  for (const wire of wires) await wire[Symbol.asyncDispose]();
  wires = [];
});

afterAll(() => worlds[Symbol.asyncDispose]());

/** Of every request that the gateway and its registry make from now on. */
function setFault(fault: WireFault): void {
  for (const wire of wires) wire.fault = fault;
}

/** Devices for a machine each, and a gateway that reaches registry, stream, table and data endpoint by a wire that can be faulty. */
async function openWorld() {
  const world = await worlds.open({
    change: { timeoutMs: TIMEOUT_MS, leaseMs: 6000, checkpointIntervalMs: 100 },
    via: async (endpoint) => {
      const wire = await HttpFaults.start(endpoint);
      wires.push(wire);
      return wire.endpoint;
    },
  });
  const { tenant, site } = machineRef(world.machines[0]);
  const devices: { readonly id: string; readonly machine: MachineKey; readonly secret: string }[] = [];
  for (let index = 0; index < DEVICES; index++) {
    const [id, machine] = [`gauge-${index}`, `${tenant}/${site}/m${index}` as MachineKey];
    devices.push({ id, machine, secret: await world.addDevice(id, tenant, [machine]) });
  }
  const connectAll = () =>
    Promise.all(devices.map(async ({ id, machine, secret }) => ({ machine, client: await world.connect(id, secret) })));
  return {
    ...{ ...world, known: devices, connectAll },
    async [Symbol.asyncDispose]() {
      setFault(noFault);
      await world[Symbol.asyncDispose]();
    },
  };
}

type World = Awaited<ReturnType<typeof openWorld>>;

const textsOf = (count: number) => Array.from({ length: count }, (_, i) => String(i));

/** Each device sends its messages, each once the one before is acknowledged. */
async function publishAll({ connectAll }: World, texts: readonly string[]): Promise<void> {
  const publishing = (await connectAll()).map(async ({ machine, client }) => {
    for (const text of texts) await client.publishTo(deviceTopic({ kind: 'telemetry', machine }), Buffer.from(text));
  });
  await Promise.all(publishing);
}

/** All of each machine has come, in order where it came first; what intake had made durable before may have come again. */
async function expectAllInOrder({ known }: World, intake: RecordingIntake, texts: readonly string[]): Promise<void> {
  const firstOf = (key: MachineKey) => {
    const own = intake.messages.filter(({ machine }) => machine === key);
    return [...new Set(own.map(({ content }) => Buffer.from(content.payload).toString()))];
  };
  const isComplete = () => known.every(({ machine }) => firstOf(machine).length === texts.length);
  await until(isComplete, 'all that IoT Core acknowledged has come', 90_000);
  for (const { machine } of known) expect(firstOf(machine)).toEqual(texts);
}

const ANY: readonly WireFault[] = [
  awsError(500, 'InternalFailure'),
  awsError(400, 'ThrottlingException'),
  cutBefore,
  cutAfter,
  late(TIMEOUT_MS + 100),
];

describe("IoT Core's gateway behind a bad network", () => {
  it('fails, throttles, cuts and answers late, for registry, stream and table alike: all comes, each machine in order', async () => {
    await using world = await openWorld();
    const intake = new RecordingIntake();
    await world.gateway.start(intake, intake);
    let faults = 0;
    setFault(
      inTurn(() =>
        ANY.map((fault): WireFault => {
          return (request, pass) => {
            faults++;
            return fault(request, pass);
          };
        }),
      ),
    );
    const texts = textsOf(MESSAGES_A_DEVICE);
    await publishAll(world, texts);
    await expectAllInOrder(world, intake, texts);
    // A quick machine may have all by fewer requests, and asks for more as long as it runs.
    await until(() => faults > 10, 'more than ten requests meet a fault');
    await expectAllInOrder(world, intake, texts);
    expect(world.refusals).toEqual([]);
  });

  it('takes what known devices send while the registry is away, and the rest once it is back', async () => {
    await using world = await openWorld();
    const intake = new RecordingIntake();
    await world.gateway.start(intake, intake);
    const [first, ...others] = await world.connectAll();
    const publish = ({ machine, client }: NonNullable<typeof first>, text: string) =>
      client.publishTo(deviceTopic({ kind: 'telemetry', machine }), Buffer.from(text));
    await publish(first!, '0');
    await intake.received(1);
    const isOfRegistry = (path: string) => path.startsWith('/things');
    const away = awsError(503, 'ServiceUnavailableException');
    setFault((request, pass) => (isOfRegistry(request.path) ? away(request, pass) : pass()));
    for (const device of others) await publish(device, '0');
    await until(() => world.problems.some(([what]) => what === 'taking what devices sent'), 'the registry is missed');
    for (const text of ['1', '2']) await publish(first!, text);
    await intake.received(3);
    expect(new Set(intake.messages.map(({ machine }) => machine))).toEqual(new Set([first!.machine]));
    setFault(noFault);
    await expectEach(intake, world, 1);
    expect(world.refusals).toEqual([]);
  });

  it('lets nobody in while a token has expired, and all goes on with the next', async () => {
    await using world = await openWorld();
    const intake = new RecordingIntake();
    await world.gateway.start(intake, intake);
    const texts = textsOf(10);
    await publishAll(world, texts.slice(0, 5));
    const expired = awsError(403, 'ExpiredTokenException');
    let refused = 0;
    setFault((request, pass) => {
      refused++;
      return expired(request, pass);
    });
    await publishAll(world, texts.slice(5));
    const { machine } = world.known[0]!;
    const command = { id: 'c-1', payload: Buffer.from('stop'), expiresAtMs: Date.now() + 600_000 };
    await expect(world.gateway.sendCommand(machine, command)).rejects.toMatchObject({ code: 'permission_denied' });
    await until(() => refused > 10);
    expect(world.problems.length).toBeGreaterThan(0);
    setFault(noFault);
    await expectAllInOrder(world, intake, texts);
  });

  it('brings each command once or again, in order, though table, registry and data endpoint fail now and then', async () => {
    await using world = await openWorld();
    const intake = new RecordingIntake();
    await world.gateway.start(intake, intake);
    const { id, machine, secret } = world.known[0]!;
    const client = await world.connect(id, secret);
    const received: string[] = [];
    await client.subscribe(deviceTopic({ kind: 'command', machine }), (payload) =>
      received.push(Buffer.from(payload).toString()),
    );
    setFault(inTurn(() => ANY));
    const ids = textsOf(6).map((text) => `c-${text}`);
    const expiresAtMs = Date.now() + 600_000;
    for (const each of ids) {
      const send = () => world.gateway.sendCommand(machine, { id: each, payload: Buffer.from(each), expiresAtMs });
      await retry(send, AGAIN, { mayPass: isOfService });
    }
    await until(() => ids.every((each) => received.includes(each)), 'all commands have come', 90_000);
    expect([...new Set(received)]).toEqual(ids);
  });
});

describe("a command of IoT Core's gateway", () => {
  it('whose call gets no answer is ended when the gateway closes, before the time of the call is over', async () => {
    await using world = await worlds.open({
      change: { timeoutMs: 60_000, drainMs: 100 },
      via: async (endpoint) => {
        const wire = await HttpFaults.start(endpoint);
        wires.push(wire);
        return wire.endpoint;
      },
    });
    const intake = new RecordingIntake();
    await world.gateway.start(intake, intake);
    const [machine] = world.machines;
    await world.addDevice('gauge-1', world.tenants[0], [machine]);
    let asked = 0;
    const isOfTable = (target: unknown) => String(target).startsWith('DynamoDB') && String(target).endsWith('Query');
    setFault((request, pass) => {
      if (!isOfTable(request.headers['x-amz-target'])) return pass();
      asked++;
      return new Promise(() => undefined);
    });
    const command = { id: 'c-1', payload: Buffer.from('stop'), expiresAtMs: Date.now() + 600_000 };
    const sending = world.gateway.sendCommand(machine, command);
    sending.catch(() => undefined);
    await until(() => asked === 1);
    await world.gateway.close();
    await expect(sending).rejects.toMatchObject({ code: 'cancelled' });
  });
});

/** Each machine has that many messages at least. */
async function expectEach(intake: RecordingIntake, { known }: World, count: number): Promise<void> {
  const countOf = (key: MachineKey) => intake.messages.filter(({ machine }) => machine === key).length;
  await until(() => known.every(({ machine }) => countOf(machine) >= count), 'each machine is heard', 60_000);
}
