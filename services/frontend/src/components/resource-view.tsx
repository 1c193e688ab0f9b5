import type { ReactNode } from 'react';
import { age } from '../format.ts';
import { useNow } from '../now.ts';
import type { Resource } from '../resource.ts';

/** Shows a resource honestly: that it is loading, that it failed and why, or its data and, where they should be newer, how old they are. */
export function ResourceView<Data>({
  resource,
  what,
  children,
}: {
  readonly resource: Resource<Data>;
  readonly what: string;
  readonly children: (data: Data) => ReactNode;
}) {
  if (resource.state === 'loading') return <p className="notice">Loading {what}…</p>;
  if (resource.state === 'error') {
    return (
      <div className="failure" role="alert">
        <strong>Cannot show {what}.</strong> {resource.error.message} {resource.error.remedy}
      </div>
    );
  }
  return (
    <>
      <OldNote what={what} atMs={resource.atMs} staleAtMs={resource.staleAtMs} />
      {children(resource.data)}
    </>
  );
}

function OldNote({
  what,
  atMs,
  staleAtMs,
}: {
  readonly what: string;
  readonly atMs: number;
  readonly staleAtMs: number;
}) {
  const nowMs = useNow();
  if (nowMs <= staleAtMs) return null;
  return (
    <p className="old" role="status">
      This is how {what} stood {age(atMs, nowMs)}: the platform is slow to answer.
    </p>
  );
}
