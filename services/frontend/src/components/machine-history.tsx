import { useState } from 'react';
import type { MachineEventView } from '../../../api-gateway/schemas/machines.ts';
import { ApiError, call } from '../api.ts';
import { dateTime } from '../format.ts';
import { ResourceView } from './resource-view.tsx';
import { useResource } from '../resource.ts';

const KIND_WORDS: Readonly<Record<MachineEventView['kind'], string>> = {
  repair: 'Repair',
  'bearing-change': 'Bearing change',
  'maintenance-start': 'Maintenance begins',
  'maintenance-end': 'Maintenance ends',
  note: 'Note',
};

const EFFECTS: Readonly<Partial<Record<MachineEventView['kind'], string>>> = {
  repair: 'The baselines of its rules are learnt anew from then on.',
  'bearing-change': 'What is normal for it is learnt anew from then on, by rules and models.',
  'maintenance-start': 'Nothing is judged or learned from until its end is noted, for at most 24 hours.',
};

/** What was done to the machine, newest first, and the way to add to it. */
export function MachineHistory({
  site,
  machine,
  canNote,
}: {
  readonly site: string;
  readonly machine: string;
  readonly canNote: boolean;
}) {
  const path = `/v1/machines/${encodeURIComponent(machine)}/events?site=${encodeURIComponent(site)}`;
  const [events, reload] = useResource<{ items: MachineEventView[] }>(path, 10_000);
  return (
    <section aria-label="Machine history">
      <h2>Machine history</h2>
      <ResourceView resource={events} what="the machine’s history">
        {({ items }) =>
          items.length === 0 ? (
            <p className="notice">Nothing was noted yet.</p>
          ) : (
            <ul className="journal">
              {items.toReversed().map((event) => (
                <li key={event.id}>
                  {dateTime(event.atMs)} <strong>{KIND_WORDS[event.kind]}</strong> by {event.by}
                  {event.text ? `: ${event.text}` : ''}
                  {event.remark === undefined ? null : <span className="muted"> {event.remark}</span>}
                </li>
              ))}
            </ul>
          )
        }
      </ResourceView>
      {canNote ? <AddEvent path={path} onAdded={reload} /> : null}
    </section>
  );
}

function AddEvent({ path, onAdded }: { readonly path: string; readonly onAdded: () => void }) {
  const [kind, setKind] = useState<MachineEventView['kind']>('repair');
  const [text, setText] = useState('');
  const [problem, setProblem] = useState<string>();
  const add = async () => {
    try {
      await call('POST', path, { kind, text });
      setText('');
      setProblem(undefined);
      onAdded();
    } catch (error) {
      setProblem(error instanceof ApiError ? `${error.message} ${error.remedy ?? ''}` : String(error));
    }
  };
  return (
    <form
      className="row"
      onSubmit={(event) => {
        event.preventDefault();
        void add();
      }}
    >
      <select
        aria-label="What was done"
        value={kind}
        onChange={(event) => setKind(event.target.value as MachineEventView['kind'])}
      >
        {Object.entries(KIND_WORDS).map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
      <input
        aria-label="Details"
        placeholder="What exactly? (optional)"
        value={text}
        maxLength={2000}
        onChange={(event) => setText(event.target.value)}
      />
      <button type="submit">Add to the history</button>
      {EFFECTS[kind] === undefined ? null : <span className="muted">{EFFECTS[kind]}</span>}
      {problem === undefined ? null : <span role="alert">{problem}</span>}
    </form>
  );
}
