import type { LedgerView } from '../../../api-gateway/schemas/ledger.ts';
import type { Readiness } from '../../../api-gateway/schemas/operation.ts';
import { READINESS } from '../api.ts';
import { ResourceView } from '../components/resource-view.tsx';
import { count, dateTime } from '../format.ts';
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
                .toSorted((one, other) => urgency(other) - urgency(one))
                .map((check) => (
                  <li key={check.name}>
                    <CheckTag check={check} />
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

type Check = Readiness['checks'][number];

/** What works and yet gives a reason calls for somebody's attention. */
function urgency({ ok, reason }: Check): 0 | 1 | 2 {
  if (!ok) return 2;
  return reason === undefined ? 0 : 1;
}

const CHECK_TAGS = [
  ['health-ok', 'ok'],
  ['health-warning', 'attention'],
  ['health-critical', 'not ok'],
] as const;

function CheckTag({ check }: { readonly check: Check }) {
  const [look, words] = CHECK_TAGS[urgency(check)];
  return <span className={`tag ${look}`}>{words}</span>;
}

function LedgerTable({ sum }: { readonly sum: LedgerView }) {
  const rows: readonly [string, number, string][] = [
    ['accepted', sum.accepted, 'acknowledged to the device'],
    ['= stored', sum.stored, 'can be read'],
    ['+ duplicate', sum.duplicate, 'came again; stored once'],
    ['+ rejected', sum.rejected, 'wrong; kept with the reason: npx tribo ledger rejections'],
    ['+ dead-lettered', sum.deadLettered, 'could not be processed; kept for a replay: npx tribo ledger dead-letters'],
    ['+ pending', sum.pending, 'safe on the disk, on the way to the store'],
  ];
  return (
    <>
      <table className="ledger">
        <tbody>
          {rows.map(([name, items, meaning]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td className="figure">{count(items)}</td>
              <td className="muted">{meaning}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p>
        <span className={`tag ${sum.exact ? 'health-ok' : 'health-critical'}`}>
          {sum.exact ? 'exact' : 'not exact'}
        </span>{' '}
        at {dateTime(sum.atMs)}. Outside the sum: {count(sum.refused)} refused (never acknowledged, so the device sends
        them again), {count(sum.conflicts)} conflicts (the same time with another value; both are kept).
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
