import { useEffect, useState } from 'react';
import type { Session } from '../../api-gateway/schemas/access.ts';
import type { Readiness } from '../../api-gateway/schemas/operation.ts';
import { ApiError, currentSession, READINESS, signIn, signOut } from './api.ts';
import { dateTime } from './format.ts';
import { LiveProvider, useConnection } from './live.tsx';
import { AlarmsPage } from './pages/alarms.tsx';
import { FleetPage } from './pages/fleet.tsx';
import { LedgerPage } from './pages/ledger.tsx';
import { MachinePage } from './pages/machine.tsx';
import { SignedOut } from './pages/signed-out.tsx';
import { SIGNED_OUT, useResource } from './resource.ts';
import { useRoute, type Route } from './route.ts';

type SignInState =
  | { readonly state: 'checking' }
  | { readonly state: 'signed-in'; readonly session: Session }
  | { readonly state: 'signed-out'; readonly reason: ApiError };

export function App() {
  const [signInState, setSignInState] = useState<SignInState>({ state: 'checking' });
  useEffect(() => {
    let retry: ReturnType<typeof setTimeout> | undefined;
    let isShown = true;
    const attempt = () => {
      begin().then(
        (session) => isShown && setSignInState({ state: 'signed-in', session }),
        (error: unknown) => {
          if (!isShown) return;
          const reason = error instanceof ApiError ? error : new ApiError(String(error));
          setSignInState({ state: 'signed-out', reason });
          if (reason.status === undefined || reason.status >= 500) retry = setTimeout(attempt, RETRY_MS);
        },
      );
    };
    const onSignedOut = () =>
      setSignInState({ state: 'signed-out', reason: new ApiError('The session is over.', 401) });
    addEventListener(SIGNED_OUT, onSignedOut);
    attempt();
    return () => {
      isShown = false;
      clearTimeout(retry);
      removeEventListener(SIGNED_OUT, onSignedOut);
    };
  }, []);
  if (signInState.state === 'checking') return <p className="notice">Signing in…</p>;
  if (signInState.state === 'signed-out')
    return <SignedOut reason={signInState.reason} problem={arrival?.problem ?? undefined} />;
  const { tenant, subject } = signInState.session;
  return (
    <LiveProvider account={`${tenant}/${subject}`}>
      <Shell session={signInState.session} />
    </LiveProvider>
  );
}

const RETRY_MS = 2000;

/** Starting twice must not use a one-time code twice; one that did not arrive may be sent again. */
let beginning: Promise<Session> | undefined;
let arrival: Arrival | undefined;
function begin(): Promise<Session> {
  arrival ??= arrivalAt(location);
  const { code } = arrival;
  beginning ??= (code === null ? currentSession() : signIn(code)).catch((error: unknown) => {
    beginning = undefined;
    throw error;
  });
  return beginning;
}

/** What the address says that a one-time link, or a sign-in that failed, has sent somebody to. It is not left in the history. */
interface Arrival {
  readonly code: string | null;
  readonly problem: string | null;
}

function arrivalAt({ pathname, search }: Location): Arrival {
  if (pathname !== '/sign-in') return { code: null, problem: null };
  const query = new URLSearchParams(search);
  history.replaceState(null, '', '/');
  return { code: query.get('code'), problem: query.get('problem') };
}

const PAGES: readonly { readonly page: Route['page']; readonly title: string; readonly href: string }[] = [
  { page: 'fleet', title: 'Fleet', href: '#/' },
  { page: 'alarms', title: 'Alarms', href: '#/alarms' },
  { page: 'ledger', title: 'Ledger and health', href: '#/ledger' },
];

function Shell({ session }: { readonly session: Session }) {
  const route = useRoute();
  const place = route.page === 'machine' ? route.machine : PAGES.find(({ page }) => page === route.page)?.title;
  useEffect(() => {
    document.title = `${place} · Tribo`;
    scrollTo(0, 0);
  }, [place]);
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
          <button
            type="button"
            className="quiet"
            onClick={() => void signOut().then((place) => location.assign(place))}
          >
            Sign out
          </button>
        </span>
      </header>
      <ConnectionNotice />
      <ReadinessNotice />
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

/** On every page, for whatever is shown there may be incomplete. Where nothing answers at all, the page says that itself. */
function ReadinessNotice() {
  const [readiness] = useResource<Readiness>(READINESS, 5000);
  if (readiness.state !== 'ready') return null;
  const { status, checks } = readiness.data;
  const told = checks.filter(({ ok, reason }) => (status === 'ready' ? reason !== undefined : !ok));
  if (told.length === 0) return null;
  return (
    <div className={status === 'ready' ? 'old' : 'banner'} role="alert">
      {status === 'ready' ? (
        <strong>Something needs attention.</strong>
      ) : (
        <>
          <strong>The platform is not ready.</strong> What is shown may be incomplete.
        </>
      )}
      <ul>
        {told.map(({ name, reason }) => (
          <li key={name}>
            {name}: {reason}
          </li>
        ))}
      </ul>
    </div>
  );
}
