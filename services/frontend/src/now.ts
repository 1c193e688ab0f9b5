import { useEffect, useState } from 'react';

/** The browser's time, kept up to date once a second: what tells ages must grow older while nothing comes. */
export function useNow(): number {
  const [nowMs, setNowMs] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return nowMs;
}
