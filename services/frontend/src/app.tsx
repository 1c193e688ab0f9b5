import { useEffect, useState } from 'react';
import type { Session } from '../../api-gateway/schemas/access.ts';
import { ApiError, currentSession, signIn, signOut } from './api.ts';
import { dateTime } from './format.ts';
import { LiveProvider, useConnection } from './live.tsx';
import { AlarmsPage } from './pages/alarms.tsx';
import { FleetPage } from './pages/fleet.tsx';
import { LedgerPage } from './pages/ledger.tsx';
import { MachinePage } from './pages/machine.tsx';
import { useRoute, type Route } from './route.ts';

type SignInState =
  | { readonly state: 'checking' }
  | { readonly state: 'signed-in'; readonly session: Session }
  | { readonly state: 'signed-out'; readonly reason: ApiError };

export function App() {
  const [signInState, setSignInState] = useState<SignInState>({ state: 'checking' });
  useEffect(() => {
    begin().then(
      (session) => setSignInState({ state: 'signed-in', session }),
      (error: unknown) =>
        setSignInState({
          state: 'signed-out',
          reason: error instanceof ApiError ? error : new ApiError(String(error)),
        }),
    );
  }, []);
  if (signInState.state === 'checking') return <p className="notice">Signing in…</p>;
  if (signInState.state === 'signed-out') return <SignedOut reason={signInState.reason} />;
  return (
    <LiveProvider>
      <Shell session={signInState.session} />
    </LiveProvider>
  );
}

/** Starting twice must not use a one-time code twice. */
let beginning: Promise<Session> | undefined;
function begin(): Promise<Session> {
  beginning ??= (async () => {
    const code = new URLSearchParams(location.search).get('code');
    if (location.pathname !== '/sign-in' || code === null) return currentSession();
    history.replaceState(null, '', '/');
    return signIn(code);
  })();
  return beginning;
}

function SignedOut({ reason }: { readonly reason: ApiError }) {
  const isAbsent = reason.status === undefined;
  return (
    <main className="signed-out">
      <h1>Tribo</h1>
      <p role="alert">{isAbsent || reason.status !== 401 ? reason.message : 'Nobody is signed in.'}</p>
      {isAbsent ? (
        <p>{reason.remedy}</p>
      ) : (
        <p>
          Open the one-time link that the platform printed when it started, or make a new one:{' '}
          <code>npx tribo token sign-in your-name --role operator</code>
        </p>
      )}
    </main>
  );
}

const PAGES: readonly { readonly page: Route['page']; readonly title: string; readonly href: string }[] = [
  { page: 'fleet', title: 'Fleet', href: '#/' },
  { page: 'alarms', title: 'Alarms', href: '#/alarms' },
  { page: 'ledger', title: 'Ledger and health', href: '#/ledger' },
];

function Shell({ session }: { readonly session: Session }) {
  const route = useRoute();
  const canAcknowledge = session.roles.some((role) => role === 'operator' || role === 'engineer' || role === 'admin');
  return (
    <>
      <header className="top">
        <a className="brand" href="#/">
          Tribo
        </a>
        <nav aria-label="Pages">
          {PAGES.map(({ page, title, href }) => (
            <a
              key={page}
              href={href}
              aria-current={route.page === page || (route.page === 'machine' && page === 'fleet') ? 'page' : undefined}
            >
              {title}
            </a>
          ))}
        </nav>
        <span className="who">
          {session.subject} · {session.tenant}
          <button type="button" className="quiet" onClick={() => void signOut().finally(() => location.assign('/'))}>
            Sign out
          </button>
        </span>
      </header>
      <ConnectionNotice />
      <main>{pageOf(route, canAcknowledge)}</main>
    </>
  );
}

function pageOf(route: Route, canAcknowledge: boolean) {
  switch (route.page) {
    case 'fleet':
      return <FleetPage />;
    case 'machine':
      return (
        <MachinePage
          key={`${route.site}/${route.machine}/${route.waveform ?? ''}`}
          site={route.site}
          machine={route.machine}
          waveform={route.waveform}
          canAcknowledge={canAcknowledge}
        />
      );
    case 'alarms':
      return <AlarmsPage canAcknowledge={canAcknowledge} />;
    case 'ledger':
      return <LedgerPage />;
  }
}

function ConnectionNotice() {
  const connection = useConnection();
  if (connection.state !== 'lost') return null;
  return (
    <p className="banner" role="alert">
      Disconnected since {dateTime(connection.sinceMs)}. What is shown as live may be old; trying to reconnect.
    </p>
  );
}
