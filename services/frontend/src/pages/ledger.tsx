import type { LedgerView } from '../../../api-gateway/schemas/ledger.ts';
import type { Readiness } from '../../../api-gateway/schemas/operation.ts';
import { READINESS } from '../api.ts';
import { ResourceView } from '../components/resource-view.tsx';
import { count, time } from '../format.ts';
import { useResource } from '../resource.ts';

/** What became of every acknowledged item, and whether the parts of the platform are well. */
export function LedgerPage() {
  const [ledger] = useResource<LedgerView>('/v1/ledger', 1000);
  const [readiness] = useResource<Readiness>(READINESS, 2000);
  return (
    <>
      <h1>Ledger and health</h1>
      <section aria-labelledby="ledger-title">
        <h2 id="ledger-title">Ledger</h2>
        <p className="muted">
          In items: one metric value, one waveform, or one message that could not be read. Nothing that was acknowledged
          may be missing from this sum.
        </p>
        <ResourceView resource={ledger} what="the ledger">
          {(sum) => <LedgerTable sum={sum} />}
        </ResourceView>
      </section>
      <section aria-labelledby="health-title">
        <h2 id="health-title">Health</h2>
        <ResourceView resource={readiness} what="the health of the platform">
          {({ checks }) => (
            <ul className="checks">
              {checks
                .toSorted((one, other) => Number(one.ok) - Number(other.ok))
                .map((check) => (
                  <li key={check.name}>
                    <span className={`tag ${check.ok ? 'health-ok' : 'health-critical'}`}>
                      {check.ok ? 'ok' : 'not ok'}
                    </span>{' '}
                    {check.name} <span className="muted">{check.reason}</span>
                  </li>
                ))}
            </ul>
          )}
        </ResourceView>
      </section>
    </>
  );
}

function LedgerTable({ sum }: { readonly sum: LedgerView }) {
  const rows: readonly [string, number][] = [
    ['accepted', sum.accepted],
    ['= stored', sum.stored],
    ['+ duplicate', sum.duplicate],
    ['+ rejected', sum.rejected],
    ['+ dead-lettered', sum.deadLettered],
    ['+ pending', sum.pending],
  ];
  return (
    <>
      <table className="ledger">
        <tbody>
          {rows.map(([name, items]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td className="figure">{count(items)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p>
        <span className={`tag ${sum.exact ? 'health-ok' : 'health-critical'}`}>
          {sum.exact ? 'exact' : 'not exact'}
        </span>{' '}
        at {time(sum.atMs)}. Outside the sum: {count(sum.refused)} refused, {count(sum.conflicts)} conflicts.
        {sum.lost > 0 && <strong> {count(sum.lost)} events are lost: please report it.</strong>}
      </p>
      {sum.accepted === 0 ? (
        <p className="notice">
          Nothing was received yet. Connect a device, and see here what becomes of all that it sends:{' '}
          <code>npx tribo device add press-7</code>
        </p>
      ) : null}
    </>
  );
}
