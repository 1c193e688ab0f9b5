const LONGEST_PAUSE_MS = 50;

/**
 * Resolves once the condition holds. It is asked at once and then ever more rarely, as it may be a call to a platform under load.
 *
 * @throws Error that says what was waited for, where it does not hold within the time: a bound for hangs, no part of what is tested.
 */
export async function until(holds: () => unknown, what = holds.toString(), withinMs = 60_000): Promise<void> {
  const lastMs = performance.now() + withinMs;
  for (let pauseMs = 1; !(await holds()); pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * pauseMs)) {
    if (performance.now() > lastMs) throw new Error(`waited for ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
