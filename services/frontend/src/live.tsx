import { createContext, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import type { SseEventData, SseEventName } from '../../api-gateway/schemas/events.ts';

export type Connection =
  { readonly state: 'connecting' } | { readonly state: 'live' } | { readonly state: 'lost'; readonly sinceMs: number };
type Listener = (data: never) => void;

interface Live {
  readonly connection: Connection;
  readonly subscribe: (name: SseEventName, listener: Listener) => () => void;
}

const LiveContext = createContext<Live | undefined>(undefined);
const NAMES: readonly SseEventName[] = ['hello', 'readings', 'alarm', 'ledger', 'presence', 'resync', 'goodbye'];
const RETRY_MS = 2000;

/** One stream of events for the whole page. EventSource reconnects by itself unless the server refused it; then we do, at a fixed pace. */
export function LiveProvider({ children }: { readonly children: ReactNode }) {
  const [connection, setConnection] = useState<Connection>({ state: 'connecting' });
  const listeners = useRef(new Map<SseEventName, Set<Listener>>());

  useEffect(() => {
    let source: EventSource | undefined;
    let retry: ReturnType<typeof setTimeout> | undefined;
    const open = () => {
      source = new EventSource('/v1/events');
      for (const name of NAMES) {
        source.addEventListener(name, (event) => {
          setConnection((current) => (current.state === 'live' ? current : { state: 'live' }));
          const data = JSON.parse((event as MessageEvent<string>).data) as never;
          for (const listener of listeners.current.get(name) ?? []) listener(data);
        });
      }
      source.onerror = () => {
        setConnection((current) => (current.state === 'lost' ? current : { state: 'lost', sinceMs: Date.now() }));
        if (source?.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
      };
    };
    open();
    return () => {
      clearTimeout(retry);
      source?.close();
    };
  }, []);

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
