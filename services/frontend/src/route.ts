import { useSyncExternalStore } from 'react';

export type Route =
  | { readonly page: 'fleet' }
  | { readonly page: 'machine'; readonly site: string; readonly machine: string }
  | { readonly page: 'alarms' }
  | { readonly page: 'ledger' };

/** The page that the address names; whatever it does not know is the fleet. */
export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => location.hash);
  const [page, site, machine] = hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
  if (page === 'machines' && site && machine) return { page: 'machine', site, machine };
  if (page === 'alarms' || page === 'ledger') return { page };
  return { page: 'fleet' };
}

export function machineLink(site: string, machine: string): string {
  return `#/machines/${encodeURIComponent(site)}/${encodeURIComponent(machine)}`;
}

function subscribe(changed: () => void): () => void {
  addEventListener('hashchange', changed);
  return () => removeEventListener('hashchange', changed);
}
