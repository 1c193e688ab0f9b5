import type { Fleet, FleetMachine } from '../../../api-gateway/schemas/machines.ts';
import { serverNowMs } from '../api.ts';
import { ResourceView } from '../components/resource-view.tsx';
import { age, count, dateTime } from '../format.ts';
import { useLiveEvent } from '../live.tsx';
import { useNow } from '../now.ts';
import { useList } from '../resource.ts';
import { machineLink } from '../route.ts';

/** All machines, worst first: which, why, since when, what to do. */
export function FleetPage() {
  const [fleet, reload, more] = useList<Fleet>('/v1/machines?limit=200', 2000);
  useLiveEvent('alarm', reload);
  return (
    <>
      <h1>Fleet</h1>
      <ResourceView resource={fleet} what="the fleet">
        {(data) =>
          data.items.length === 0 ? (
            <NoMachines />
          ) : (
            <>
              <Totals fleet={data} />
              <Machines machines={data.items} />
              {data.nextCursor === undefined ? null : (
                <p>
                  <button type="button" className="quiet" onClick={more}>
                    Show more machines
                  </button>{' '}
                  <span className="muted">
                    The worst {count(data.items.length)} of {count(data.totals.machines)} are shown.
                  </span>
                </p>
              )}
            </>
          )
        }
      </ResourceView>
    </>
  );
}

function NoMachines() {
  return (
    <div className="notice">
      <p>
        <strong>No machines yet.</strong> Make one and its device, on the machine that Tribo runs on:
      </p>
      <p>
        <code>npx tribo device add press-7</code>
      </p>
      <p>
        It prints ready lines to send the first readings with, by MQTT or HTTP; the machine appears here at once. A
        whole plant is described by a file: <code>npx tribo plant apply environments/example-plant.yaml</code>. A
        simulated plant to look around in: <code>npx tribo simulate</code>.
      </p>
    </div>
  );
}

function Totals({ fleet }: { readonly fleet: Fleet }) {
  const { machines, critical, warning, ok, unknown, stale } = fleet.totals;
  return (
    <p className="totals">
      <strong>{count(machines)}</strong> {machines === 1 ? 'machine' : 'machines'}:{' '}
      <span className={`tag health-${critical === 0 ? 'unknown' : 'critical'}`}>{count(critical)} critical</span>{' '}
      <span className={`tag health-${warning === 0 ? 'unknown' : 'warning'}`}>{count(warning)} warning</span>{' '}
      <span className="tag health-ok">{count(ok)} ok</span>{' '}
      <span className="tag health-unknown">{count(unknown)} unknown</span>{' '}
      {stale === 0 ? null : <span className="muted">{count(stale)} silent</span>}
    </p>
  );
}

function Machines({ machines }: { readonly machines: readonly FleetMachine[] }) {
  useNow();
  const nowMs = serverNowMs();
  return (
    <table className="fleet">
      <thead>
        <tr>
          <th scope="col">Machine</th>
          <th scope="col">Health, and why</th>
          <th scope="col">Since</th>
          <th scope="col">What to do</th>
          <th scope="col">State</th>
          <th scope="col">Last seen</th>
          <th scope="col">Open alarms</th>
        </tr>
      </thead>
      <tbody>
        {machines.map((machine) => (
          <MachineRow key={`${machine.site}/${machine.machine}`} machine={machine} nowMs={nowMs} />
        ))}
      </tbody>
    </table>
  );
}

function MachineRow({ machine, nowMs }: { readonly machine: FleetMachine; readonly nowMs: number }) {
  const { health, openAlarms, lastSeenMs } = machine;
  const [worst, ...others] = health.reasons;
  return (
    <tr>
      <th scope="row">
        <a href={machineLink(machine.site, machine.machine)}>{machine.name ?? machine.machine}</a>
        <div className="muted">
          {machine.site}/{machine.machine}, {machine.class}
        </div>
      </th>
      <td data-label="Health">
        <span className={`tag health-${health.status}`}>{health.status}</span> {worst}
        {others.length === 0 ? null : <div className="muted">also: {others.join(', ')}</div>}
      </td>
      <td data-label="Since" className={health.sinceMs === undefined ? 'nothing' : undefined}>
        {health.sinceMs === undefined ? (
          '–'
        ) : (
          <time dateTime={new Date(health.sinceMs).toISOString()} title={dateTime(health.sinceMs)}>
            {age(health.sinceMs, nowMs)}
          </time>
        )}
      </td>
      <td data-label="What to do" className={health.action === undefined ? 'nothing' : undefined}>
        {health.action ?? '–'}
      </td>
      <td data-label="State">{machine.operatingState}</td>
      <td data-label="Last seen">
        {lastSeenMs === undefined ? 'never' : age(lastSeenMs, nowMs)}{' '}
        {machine.stale && lastSeenMs !== undefined ? <span className="tag health-unknown">silent</span> : null}
      </td>
      <td data-label="Open alarms" className={openAlarms.total === 0 ? 'nothing' : undefined}>
        {openAlarms.total === 0
          ? '–'
          : `${count(openAlarms.total)} (${count(openAlarms.unacknowledged)} not acknowledged)`}
      </td>
    </tr>
  );
}
