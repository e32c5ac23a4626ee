/** What a view shows when it has nothing, failed, or waits. */
import type { ComponentChildren } from 'preact';
import type { ApiFailure } from '../api/client.ts';
import { Icon, type IconName } from './icon.tsx';
import { Said } from './said.tsx';

export function Empty(props: { title: string; icon?: IconName; children?: ComponentChildren }) {
  return (
    <div class="state">
      {props.icon && (
        <span class="mark">
          <Icon name={props.icon} />
        </span>
      )}
      <h2>{props.title}</h2>
      {props.children}
    </div>
  );
}

/** What failed, what to do, and again. */
export function Failed({ failure, retry }: { failure: ApiFailure; retry?: () => void }) {
  return (
    <div class="state" role="alert">
      <h2>
        <Said text={failure.message} />
      </h2>
      {failure.hint !== '' && (
        <p>
          <Said text={failure.hint} />
        </p>
      )}
      {retry && (
        <button type="button" class="button" onClick={retry}>
          <Icon name="reset" /> Try again
        </button>
      )}
    </div>
  );
}

/** Grey shapes where the content will be, shown only after 150 ms. */
export function Outline({ lines = 3 }: { lines?: number }) {
  return (
    <div class="outline-list" role="status" aria-busy="true" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <div key={index} class="outline outline-line" />
      ))}
    </div>
  );
}
