import { createContext, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import type { SseEventData, SseEventName } from '../../api-gateway/schemas/events.ts';
import { shareEvents, type Connection } from './shared-events.ts';

type Listener = (data: never) => void;

interface Live {
  readonly connection: Connection;
  readonly subscribe: (name: SseEventName, listener: Listener) => () => void;
}

const LiveContext = createContext<Live | undefined>(undefined);

/** One stream of events for the whole page, and for all pages of the account in this browser. */
export function LiveProvider({ account, children }: { readonly account: string; readonly children: ReactNode }) {
  const [connection, setConnection] = useState<Connection>({ state: 'connecting' });
  const listeners = useRef(new Map<SseEventName, Set<Listener>>());

  useEffect(
    () =>
      shareEvents(account, {
        onConnection: setConnection,
        onEvent: (name, data) => {
          for (const listener of listeners.current.get(name) ?? []) listener(data as never);
        },
      }),
    [account],
  );

  const live = useMemo<Live>(
    () => ({
      connection,
      subscribe: (name, listener) => {
        const set = listeners.current.get(name) ?? new Set();
        listeners.current.set(name, set.add(listener));
        return () => set.delete(listener);
      },
    }),
    [connection],
  );
  return <LiveContext value={live}>{children}</LiveContext>;
}

export function useConnection(): Connection {
  return useLive().connection;
}

/** Calls back with each event of that name while the component is there. */
export function useLiveEvent<Name extends SseEventName>(
  name: Name,
  listener: (data: SseEventData<Name>) => void,
): void {
  const { subscribe } = useLive();
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(() => subscribe(name, (data) => latest.current(data)), [name, subscribe]);
}

function useLive(): Live {
  const live = useContext(LiveContext);
  if (!live) throw new Error('a component that shows live data must be inside LiveProvider');
  return live;
}
