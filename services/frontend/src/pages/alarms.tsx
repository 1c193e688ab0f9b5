import { useState, type ReactNode } from 'react';
import type { AlarmFiguresView, AlarmView } from '../../../api-gateway/schemas/alarms.ts';
import { AlarmCard } from '../components/alarm-card.tsx';
import { ResourceView } from '../components/resource-view.tsx';
import { count, number } from '../format.ts';
import { useLiveEvent } from '../live.tsx';
import { useList, useResource } from '../resource.ts';

/** Alarms with why they were raised, newest first. */
export function AlarmsPage({ canAcknowledge }: { readonly canAcknowledge: boolean }) {
  const [all, setAll] = useState(false);
  return (
    <>
      <h1>Alarms</h1>
      <AlarmFigures />
      <label className="filter">
        <input type="checkbox" checked={all} onChange={(event) => setAll(event.target.checked)} /> also those back to
        normal
      </label>
      <AlarmList
        query={
          all
            ? 'state=normal,unacknowledged,acknowledged,rtn-unacknowledged,latched,shelved,suppressed-by-design,out-of-service'
            : ''
        }
        canAcknowledge={canAcknowledge}
        whenEmpty={
          <>
            No alarm calls for anything. One appears here when a rule or a model finds something;{' '}
            <code>npx tribo rule list</code> shows what is watched.
          </>
        }
      />
    </>
  );
}

/** Whether the alarm system itself is fit for a person (ISA-18.2), in one line. */
function AlarmFigures() {
  const [figures] = useResource<AlarmFiguresView>('/v1/alarms/figures', 30_000);
  return (
    <ResourceView resource={figures} what="the alarm figures">
      {({ calls, mostInTenMinutes, floodShare, chattering, stale }) => (
        <p
          className="muted"
          title="ISA-18.2: about 150 calls a day and at most 10 in ten minutes, none chattering, under 5 stale"
        >
          Last 24 hours: <strong>{count(calls)}</strong> calls (about 150 are manageable), at most{' '}
          <strong>{count(mostInTenMinutes)}</strong> in ten minutes
          {floodShare > 0 ? (
            <span className="health-critical">, in flood {number(100 * floodShare)} % of the time</span>
          ) : (
            ''
          )}
          , <strong>{count(chattering.length)}</strong> chattering, <strong>{count(stale)}</strong> active for over a
          day.
        </p>
      )}
    </ResourceView>
  );
}

interface AlarmPage {
  readonly items: readonly AlarmView[];
  readonly nextCursor?: string | undefined;
}

export function AlarmList({
  query,
  canAcknowledge,
  whenEmpty,
}: {
  readonly query: string;
  readonly canAcknowledge: boolean;
  readonly whenEmpty: ReactNode;
}) {
  const [alarms, reload, more] = useList<AlarmPage>(`/v1/alarms?limit=100&${query}`, 5000);
  useLiveEvent('alarm', reload);
  return (
    <ResourceView resource={alarms} what="the alarms">
      {({ items, nextCursor }) =>
        items.length === 0 ? (
          <p className="notice">{whenEmpty}</p>
        ) : (
          <div className="alarms">
            {items.map((alarm) => (
              <AlarmCard key={alarm.id} alarm={alarm} canAcknowledge={canAcknowledge} onChanged={reload} />
            ))}
            {nextCursor === undefined ? null : (
              <button type="button" className="quiet" onClick={more}>
                Show older alarms
              </button>
            )}
          </div>
        )
      }
    </ResourceView>
  );
}
