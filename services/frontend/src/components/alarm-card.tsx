import { useState } from 'react';
import type { AlarmPartView, AlarmView, JournalEntryView } from '../../../api-gateway/schemas/alarms.ts';
import { ApiError, call } from '../api.ts';
import { capitalised, dateTime, number, time, unitText } from '../format.ts';
import { useResource } from '../resource.ts';
import { machineLink } from '../route.ts';
import { ResourceView } from './resource-view.tsx';

const STATE_WORDS: Readonly<Record<AlarmView['state'], string>> = {
  normal: 'back to normal',
  unacknowledged: 'not acknowledged',
  acknowledged: 'acknowledged',
  'rtn-unacknowledged': 'returned, not acknowledged',
  latched: 'latched',
  shelved: 'shelved',
  'suppressed-by-design': 'suppressed by design',
  'out-of-service': 'out of service',
};

/** One alarm: what, since when, why, and the way to acknowledge it. */
export function AlarmCard({
  alarm,
  canAcknowledge,
  onChanged,
}: {
  readonly alarm: AlarmView;
  readonly canAcknowledge: boolean;
  readonly onChanged: () => void;
}) {
  const [open, setOpen] = useState(false);
  const needsAcknowledgement = alarm.state === 'unacknowledged' || alarm.state === 'rtn-unacknowledged';
  return (
    <article className={`alarm priority-${alarm.priority}`} aria-label={`${alarm.title} on ${alarm.machine}`}>
      <div className="alarm-head">
        <span className={`tag priority-${alarm.priority}`}>{alarm.priority}</span>
        <h3>{alarm.title}</h3>
        <a href={machineLink(alarm.site, alarm.machine)}>
          {alarm.site}/{alarm.machine}
        </a>
        <span className="state">{STATE_WORDS[alarm.state]}</span>
        <time dateTime={new Date(alarm.raisedMs).toISOString()}>{dateTime(alarm.raisedMs)}</time>
      </div>
      <ul className="why">
        {alarm.parts.map((part, index) => (
          <li key={index}>
            {capitalised(part.message)}
            {part.active ? '' : ' (no longer so)'}
            <div className="muted">
              {part.sensor === undefined ? '' : `sensor ${part.sensor}, `}
              {part.source.kind} {part.source.id} version {part.source.version}, {windowText(part.fromMs, part.toMs)}
              {baselineText(part)}
              {part.basis === undefined ? '' : `, by ${part.basis}`}
              {part.waveformId === undefined ? null : (
                <>
                  , <a href={machineLink(alarm.site, alarm.machine, part.waveformId)}>waveform’s spectrum</a>
                </>
              )}
            </div>
          </li>
        ))}
      </ul>
      <p className="advice">
        <strong>What it means:</strong> {alarm.consequence} <strong>What to do:</strong> {alarm.response}
      </p>
      {alarm.acknowledgedBy === undefined ? null : (
        <p className="muted">
          Acknowledged by {alarm.acknowledgedBy}
          {alarm.comment ? `: ${alarm.comment}` : ''}
        </p>
      )}
      <div className="alarm-actions">
        {needsAcknowledgement && canAcknowledge ? <Acknowledge alarm={alarm} onChanged={onChanged} /> : null}
        <button type="button" className="quiet" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? 'Hide journal' : 'Journal'}
        </button>
      </div>
      {open ? <Journal id={alarm.id} /> : null}
    </article>
  );
}

/** What the limit is relative to: the value, when it was taken, and the ISO boundary that counts besides. */
function baselineText({ baseline, baselineFromMs, baselineToMs, boundary, limit, unit }: AlarmPartView): string {
  if (baseline === undefined) return '';
  const inUnit = (value: number) => `${number(value)} ${unitText(unit)}`.trimEnd();
  const taken =
    baselineFromMs === undefined || baselineToMs === undefined
      ? ''
      : ` taken from ${dateTime(baselineFromMs)} to ${dateTime(baselineToMs)}`;
  const between = boundary === undefined ? '' : `, zone C begins above ${inUnit(boundary)}`;
  return `, baseline ${inUnit(baseline)}${taken}${between}${limit === undefined ? '' : `, limit ${inUnit(limit)}`}`;
}

function windowText(fromMs: number, toMs: number): string {
  return fromMs === toMs ? `at ${dateTime(toMs)}` : `from ${dateTime(fromMs)} to ${time(toMs)}`;
}

function Acknowledge({ alarm, onChanged }: { readonly alarm: AlarmView; readonly onChanged: () => void }) {
  const [comment, setComment] = useState('');
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);
  const acknowledge = async () => {
    setBusy(true);
    try {
      await call('POST', `/v1/alarms/${encodeURIComponent(alarm.id)}/acknowledge`, { comment });
      onChanged();
    } catch (error) {
      setProblem(error instanceof ApiError ? `${error.message} ${error.remedy ?? ''}` : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void acknowledge();
      }}
    >
      <input
        aria-label={`Comment on ${alarm.title}`}
        placeholder="What did you see?"
        required
        pattern=".*\S.*"
        title="What you saw; it is kept with your name"
        value={comment}
        maxLength={1000}
        onChange={(event) => setComment(event.target.value)}
      />
      <button type="submit" disabled={busy}>
        Acknowledge
      </button>
      {problem === undefined ? null : <span role="alert">{problem}</span>}
    </form>
  );
}

function Journal({ id }: { readonly id: string }) {
  const [journal] = useResource<{ items: JournalEntryView[] }>(`/v1/alarms/${encodeURIComponent(id)}/journal`, 5000);
  return (
    <ResourceView resource={journal} what="the journal">
      {({ items }) => (
        <ol className="journal">
          {items.map((entry) => (
            <li key={entry.sequence}>
              {dateTime(entry.atMs)} {entry.action} by {entry.by}
              {entry.comment ? `: ${entry.comment}` : ''}
            </li>
          ))}
        </ol>
      )}
    </ResourceView>
  );
}
