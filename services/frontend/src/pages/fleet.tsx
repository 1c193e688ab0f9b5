import type { Fleet, FleetMachine } from '../../../api-gateway/schemas/machines.ts';
import { useResource } from '../api.ts';
import { ResourceView } from '../components/resource-view.tsx';
import { age, count } from '../format.ts';
import { useLiveEvent } from '../live.tsx';
import { machineLink } from '../route.ts';

/** All machines, worst first. */
export function FleetPage() {
  const [fleet, reload] = useResource<Fleet>('/v1/machines?limit=500', 2000);
  useLiveEvent('alarm', reload);
  return (
    <>
      <h1>Fleet</h1>
      <ResourceView resource={fleet} what="the fleet">
        {(data) =>
          data.items.length === 0 ? (
            <p className="notice">
              No machines yet. Make one: <code>npx tribo device add press-7</code>
            </p>
          ) : (
            <>
              <Totals fleet={data} />
              <table>
                <thead>
                  <tr>
                    <th scope="col">Machine</th>
                    <th scope="col">Class</th>
                    <th scope="col">Health</th>
                    <th scope="col">State</th>
                    <th scope="col">Last seen</th>
                    <th scope="col">Open alarms</th>
                  </tr>
                </thead>
                <tbody>
                  {data.items.map((machine) => (
                    <MachineRow key={`${machine.site}/${machine.machine}`} machine={machine} nowMs={data.refreshedMs} />
                  ))}
                </tbody>
              </table>
            </>
          )
        }
      </ResourceView>
    </>
  );
}

function Totals({ fleet }: { readonly fleet: Fleet }) {
  const { machines, critical, warning, ok, unknown, stale } = fleet.totals;
  return (
    <p className="totals">
      <strong>{count(machines)}</strong> machines:{' '}
      <span className="tag health-critical">{count(critical)} critical</span>{' '}
      <span className="tag health-warning">{count(warning)} warning</span>{' '}
      <span className="tag health-ok">{count(ok)} ok</span>{' '}
      <span className="tag health-unknown">{count(unknown)} unknown</span>{' '}
      <span className="muted">{count(stale)} stale</span>
    </p>
  );
}

function MachineRow({ machine, nowMs }: { readonly machine: FleetMachine; readonly nowMs: number }) {
  return (
    <tr>
      <th scope="row">
        <a href={machineLink(machine.site, machine.machine)}>{machine.name ?? machine.machine}</a>
        <div className="muted">
          {machine.site}/{machine.machine}
        </div>
      </th>
      <td>{machine.class}</td>
      <td>
        <span className={`tag health-${machine.health.status}`}>{machine.health.status}</span>
        <div className="muted">{machine.health.reasons[0]}</div>
      </td>
      <td>{machine.operatingState}</td>
      <td>
        {machine.lastSeenMs === undefined ? 'never' : age(machine.lastSeenMs, nowMs)}{' '}
        {machine.stale ? <span className="tag health-unknown">stale</span> : null}
      </td>
      <td>
        {machine.openAlarms.total === 0
          ? '–'
          : `${machine.openAlarms.total} (${machine.openAlarms.unacknowledged} not acknowledged)`}
      </td>
    </tr>
  );
}
