import { useState } from 'react';
import type { AlarmView } from '../../../api-gateway/schemas/alarms.ts';
import { useResource } from '../api.ts';
import { AlarmCard } from '../components/alarm-card.tsx';
import { ResourceView } from '../components/resource-view.tsx';
import { useLiveEvent } from '../live.tsx';

/** Alarms with why they were raised, newest first. */
export function AlarmsPage({ canAcknowledge }: { readonly canAcknowledge: boolean }) {
  const [all, setAll] = useState(false);
  return (
    <>
      <h1>Alarms</h1>
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
      />
    </>
  );
}

export function AlarmList({ query, canAcknowledge }: { readonly query: string; readonly canAcknowledge: boolean }) {
  const [alarms, reload] = useResource<{ items: AlarmView[] }>(`/v1/alarms?limit=100&${query}`, 5000);
  useLiveEvent('alarm', reload);
  return (
    <ResourceView resource={alarms} what="the alarms">
      {({ items }) =>
        items.length === 0 ? (
          <p className="notice">No alarms.</p>
        ) : (
          <div className="alarms">
            {items.map((alarm) => (
              <AlarmCard key={alarm.id} alarm={alarm} canAcknowledge={canAcknowledge} onChanged={reload} />
            ))}
          </div>
        )
      }
    </ResourceView>
  );
}
