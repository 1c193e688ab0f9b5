import type { SseEventData, SseEventName } from '../../api-gateway/schemas/events.ts';

export type Connection =
  { readonly state: 'connecting' } | { readonly state: 'live' } | { readonly state: 'lost'; readonly sinceMs: number };

export interface EventListener {
  readonly onEvent: (name: SseEventName, data: SseEventData<SseEventName>) => void;
  readonly onConnection: (connection: Connection) => void;
}

type Message =
  | { readonly type: 'event'; readonly name: SseEventName; readonly data: SseEventData<SseEventName> }
  | { readonly type: 'connection'; readonly connection: Connection }
  /** Of a tab that has just opened. */
  | { readonly type: 'connection?' };

const NAMES: readonly SseEventName[] = ['hello', 'readings', 'alarm', 'ledger', 'presence', 'resync', 'goodbye'];
const RETRY_MS = 2000;

/**
 * The platform's events, by one connection for all tabs of a browser: over HTTP/1.1 it opens at most six to a host, and a stream keeps its
 * own for good. The tab that has the lock reads, and tells the others; when it is closed, one of them gets the lock. `account` keeps apart
 * who must not see the same. Returns what ends it.
 */
export function shareEvents(account: string, listener: EventListener): () => void {
  // Browsers have locks on secure origins alone: loopback and https.
  if (!('locks' in navigator)) return openEvents(listener);
  const name = `tribo-events ${account}`;
  const channel = new BroadcastChannel(name);
  const ended = new AbortController();
  let own: Connection | undefined;
  const post = (message: Message) => channel.postMessage(message);
  channel.onmessage = ({ data: message }: MessageEvent<Message>) => {
    if (message.type === 'event') listener.onEvent(message.name, message.data);
    else if (message.type === 'connection') listener.onConnection(message.connection);
    else if (own) post({ type: 'connection', connection: own });
  };
  post({ type: 'connection?' });
  const lead = () =>
    new Promise<void>((resolve) => {
      const close = openEvents({
        onEvent: (name, data) => {
          listener.onEvent(name, data);
          post({ type: 'event', name, data });
        },
        onConnection: (connection) => {
          own = connection;
          listener.onConnection(connection);
          post({ type: 'connection', connection });
        },
      });
      ended.signal.addEventListener('abort', () => {
        close();
        resolve();
      });
    });
  navigator.locks.request(name, { signal: ended.signal }, lead).catch((error: unknown) => {
    if (!ended.signal.aborted) throw error;
  });
  return () => {
    ended.abort();
    channel.close();
  };
}

/** EventSource reconnects by itself unless the server refused it; then we do, at a fixed pace. */
function openEvents({ onEvent, onConnection }: EventListener): () => void {
  let source: EventSource | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let state: Connection['state'] = 'connecting';
  const change = (connection: Connection) => {
    if (connection.state !== state) onConnection(connection);
    state = connection.state;
  };
  const open = () => {
    source = new EventSource('/v1/events');
    for (const name of NAMES) {
      source.addEventListener(name, ({ data }: MessageEvent<string>) => {
        change({ state: 'live' });
        onEvent(name, JSON.parse(data) as SseEventData<SseEventName>);
      });
    }
    source.onerror = () => {
      change({ state: 'lost', sinceMs: Date.now() });
      if (source?.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
    };
  };
  open();
  return () => {
    clearTimeout(retry);
    source?.close();
  };
}
