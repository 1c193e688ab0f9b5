/** Whether a host is this one by its name or address, of IPv6 with brackets as in an address or without. Other names are not looked up. */
export function isLoopback(host: string): boolean {
  return ['localhost', '::1', '[::1]'].includes(host) || /^127(\.\d{1,3}){3}$/.test(host);
}
