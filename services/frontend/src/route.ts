import { useSyncExternalStore } from 'react';

export type Route =
  | { readonly page: 'fleet' }
  | { readonly page: 'machine'; readonly site: string; readonly machine: string; readonly waveform: string | undefined }
  | { readonly page: 'alarms' }
  | { readonly page: 'ledger' };

/** The page that the address names; whatever it does not know is the fleet. */
export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => location.hash);
  const [page, site, machine, waveform] = hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
  if (page === 'machines' && site && machine) return { page: 'machine', site, machine, waveform };
  if (page === 'alarms' || page === 'ledger') return { page };
  return { page: 'fleet' };
}

/** With a waveform: its spectrum instead of the newest one's. */
export function machineLink(site: string, machine: string, waveform?: string): string {
  return `#/${['machines', site, machine, ...(waveform === undefined ? [] : [waveform])].map(encodeURIComponent).join('/')}`;
}

function subscribe(changed: () => void): () => void {
  addEventListener('hashchange', changed);
  return () => removeEventListener('hashchange', changed);
}
