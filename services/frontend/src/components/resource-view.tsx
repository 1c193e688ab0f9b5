import type { ReactNode } from 'react';
import type { Resource } from '../api.ts';

/** Shows a resource honestly: that it is loading, that it failed and why, or its data. */
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
  return <>{children(resource.data)}</>;
}
