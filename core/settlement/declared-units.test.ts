import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { HeldClock } from '#test/support/held-clock.ts';
import { MemoryMachineRegistry } from '#test/support/memory-machine-registry.ts';
import { stampedEvent } from '../contracts/sample-event.ts';
import { until } from '../contracts/until.ts';
import type { MachineKey, SiteId, TenantId } from '../domain/ids.ts';
import { machineSchema } from '../domain/plant.ts';
import { PortError } from '../errors.ts';
import { DeclaredUnits } from './declared-units.ts';

const [NORTH, AKRON] = ['north' as TenantId, 'akron' as SiteId];
const PRESS = 'north/akron/press-7' as MachineKey;
const T0 = Date.UTC(2026, 10, 21);

/** One whose listing takes some time, by the clock, as that of a large plant does. */
class SlowRegistry extends MemoryMachineRegistry {
  listMs = 0;
  /** While set, listing fails with it. */
  fails: Error | undefined;
  readonly #clock: HeldClock;

  constructor(clock: HeldClock) {
    super();
    this.#clock = clock;
  }

  override async listMachines(query: Parameters<MemoryMachineRegistry['listMachines']>[0]) {
    if (this.fails) throw this.fails;
    const machines = await super.listMachines(query);
    this.#clock.advance(this.listMs);
    return machines;
  }
}

describe('units that the catalogue declares', () => {
  let clock: HeldClock;
  let machines: SlowRegistry;
  let units: DeclaredUnits;
  const present = new Set<string>();

  beforeEach(() => {
    clock = new HeldClock(T0);
    machines = new SlowRegistry(clock);
    present.clear();
    const report = (doing: string) => void present.add(doing);
    const solved = (doing: string) => void present.delete(doing);
    units = new DeclaredUnits({ machines, clock, problems: { report, solved } });
  });
  afterEach(() => units.close());

  const declare = (unit: string, more: readonly string[] = []) =>
    machines.putMachine(
      NORTH,
      AKRON,
      machineSchema.parse({
        ...{ id: 'press-7', class: 'press' },
        metrics: [{ name: 't', unit }, ...more.map((name) => ({ name, unit: 'bar' }))],
      }),
    );
  const unitAt = (acceptedAtMs: number) => units.of(stampedEvent(1, { key: PRESS, acceptedAtMs }))?.get('t');
  const noticed = (unit: string) => until(() => unitAt(Infinity) === unit);

  it('are read at the start where a connection breaks just then, too', async () => {
    await declare('bar');
    machines.fails = new PortError('unavailable', 'read ECONNRESET');
    const started = units.start();
    await new Promise((resolve) => setTimeout(resolve, 20));
    machines.fails = undefined;
    await started;
    expect(unitAt(T0)).toBe('bar');
  });

  it('are those of the time of acceptance, and none about the time of a change', async () => {
    await declare('Cel', ['p']);
    await units.start();
    clock.advance(60_000);
    const changedMs = clock.nowMs();
    await declare('[degF]', ['p']);
    await noticed('[degF]');
    expect([-60_000, -3000, -1000, 9000, 10_000].map((ms) => unitAt(changedMs + ms))).toEqual([
      ...['Cel', 'Cel', undefined, undefined],
      '[degF]',
    ]);
    expect(units.of(stampedEvent(1, { key: PRESS, acceptedAtMs: changedMs }))?.get('p')).toBe('bar');
  });

  it('count from when the change was told, however late it is read, and longer where reading takes long', async () => {
    await declare('Cel');
    machines.listMs = 5;
    await units.start();
    const changedMs = clock.nowMs();
    await declare('[degF]');
    // Until the registry is read again, which waits ten times as long as reading took.
    clock.advance(30_000);
    await noticed('[degF]');
    expect(unitAt(changedMs - 3000)).toBe('Cel');
    for (const ms of [-1000, 0, 1000, 20_000, 29_000, 39_000]) expect(unitAt(changedMs + ms)).toBeUndefined();
    expect(unitAt(changedMs + 30_000 + 10_000 + 1000)).toBe('[degF]');
  });

  it('are those of a machine that was deleted and described anew', async () => {
    await declare('Cel');
    await units.start();
    clock.advance(60_000);
    await machines.deleteMachine(PRESS);
    await declare('[degF]');
    await noticed('[degF]');
  });

  it('are the same object as long as nothing changes, and of machines of a kind', async () => {
    await declare('Cel');
    const other = { ...machineSchema.parse({ id: 'press-8', class: 'press' }), metrics: [{ name: 't', unit: 'Cel' }] };
    const { key } = await machines.putMachine(NORTH, AKRON, other);
    await units.start();
    const ofPress = units.of(stampedEvent(1, { key: PRESS }));
    expect(units.of(stampedEvent(2, { key }))).toBe(ofPress);
    await machines.putMachine(NORTH, AKRON, { ...other, name: 'renamed' });
    expect(units.of(stampedEvent(3, { key }))).toBe(ofPress);
  });

  it('are told to be unread while the registry is away, and to be read once it is back', async () => {
    await declare('Cel');
    await units.start();
    machines.fails = new PortError('unavailable', 'the registry is away');
    await declare('[degF]');
    await until(() => present.has('read the machine registry'));
    machines.fails = undefined;
    await noticed('[degF]');
    await until(() => present.size === 0);
  });
});
