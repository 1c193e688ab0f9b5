import { useState } from 'react';
import type { MachineDetail } from '../../../api-gateway/schemas/machines.ts';
import { ApiError, call } from '../api.ts';
import { dateTime } from '../format.ts';

/** That people work at the machine, what follows from that, and the way to end it. */
export function UnderMaintenance({
  site,
  machine,
  maintenance: { fromMs, untilMs, endNoted, by, text },
  canEnd,
}: {
  readonly site: string;
  readonly machine: string;
  readonly maintenance: NonNullable<MachineDetail['maintenance']>;
  readonly canEnd: boolean;
}) {
  const [problem, setProblem] = useState<string>();
  const [ended, setEnded] = useState(false);
  const end = async () => {
    try {
      const path = `/v1/machines/${encodeURIComponent(machine)}/events?site=${encodeURIComponent(site)}`;
      await call('POST', path, { kind: 'maintenance-end' });
      setEnded(true);
    } catch (error) {
      setProblem(error instanceof ApiError ? `${error.message} ${error.remedy ?? ''}` : String(error));
    }
  };
  return (
    <section className="notice" aria-label="Maintenance">
      <p>
        <strong>Under maintenance</strong> since {dateTime(fromMs)}, noted by {by}
        {text ? `: ${text}` : ''}. Nothing that it sends is judged or learned from, and its silence raises no alarm.{' '}
        {endNoted ? `It ends at ${dateTime(untilMs)}.` : `It ends by itself at ${dateTime(untilMs)}.`}
      </p>
      {canEnd ? (
        <button type="button" disabled={ended} onClick={() => void end()}>
          End maintenance
        </button>
      ) : null}
      {problem === undefined ? null : <span role="alert">{problem}</span>}
    </section>
  );
}
