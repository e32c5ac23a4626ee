/** Whom a collector answers, and the way back in where it no longer does. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { signedOut } from '../api/client.ts';
import { formatTime } from '../format/times.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { MenuButton } from '../parts/popover.tsx';
import { health, session } from './server-info.ts';

const MAY = {
  read: 'Reads',
  write: 'Reads and writes',
  admin: 'Reads, writes and manages tokens',
} as const;

/** In the bar at the top: space and project, and behind it what the token may do. */
export function Account() {
  const now = session.value;
  if (now === null) return null;
  const { space, project, scope, token, expires_at: until } = now;
  const leave = () => {
    void fetch('/logout', { method: 'POST' }).finally(() => location.assign('/login'));
  };
  return (
    <MenuButton
      label="Your token"
      icon="person"
      class="button bare"
      text={<span class="wide-only clip account-space">{token.name ?? project ?? space}</span>}
    >
      {() => (
        <div class="account">
          <dl>
            <dt>Space</dt>
            <dd class="clip">{space}</dd>
            <dt>Project</dt>
            <dd class="clip">{project ?? 'All of the space'}</dd>
            <dt>May</dt>
            <dd>{MAY[scope]}</dd>
            <dt>Token</dt>
            <dd class="row">
              <span class="clip">{token.name ?? token.id}</span>
              <CopyButton text={token.id} label="Copy the token’s id" />
            </dd>
            <dt>Valid</dt>
            <dd>{until === null ? 'Until it is revoked' : `Until ${formatTime(until)}`}</dd>
          </dl>
          <div class="menu-rule" />
          <button type="button" class="menu-item" onClick={leave}>
            <Icon name="close" /> Sign out of this browser
          </button>
        </div>
      )}
    </MenuButton>
  );
}

/** Over everything, once a request was refused for want of a token: what was on the page stays under it. */
export function SignIn() {
  return signedOut.value ? <SignInCard /> : null;
}

function SignInCard() {
  const token = useSignal('');
  const wrong = useSignal('');
  const busy = useSignal(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const submit = async (event: Event) => {
    event.preventDefault();
    const text = token.value.trim();
    if (text === '' || busy.value) return;
    busy.value = true;
    wrong.value = '';
    try {
      const collector = health.peek()?.collector !== false;
      if (collector)
        await fetch('/login', { method: 'POST', body: new URLSearchParams({ token: text, next: '/' }) });
      else await fetch(`/?token=${encodeURIComponent(text)}`, { headers: { accept: 'text/html' } });
      if ((await fetch('/api/projects')).ok) {
        location.reload();
        return;
      }
      wrong.value = 'It opens nothing here: mistyped, expired or revoked.';
    } catch {
      wrong.value = 'The server does not answer.';
    }
    busy.value = false;
    input.current?.select();
  };
  return (
    <>
      <div class="scrim" />
      <div class="dialog" role="dialog" aria-modal="true" aria-label="Sign in">
        <form class="sign-in" onSubmit={submit}>
          <h2>Your token opens this no more</h2>
          <p>It has expired or was revoked, or this browser forgot it. What you see stays as it was.</p>
          <label class={`field${wrong.value ? ' wrong' : ''}`}>
            <Icon name="key" />
            <input
              ref={input}
              type="password"
              name="token"
              autocomplete="current-password"
              placeholder="Paste a token"
              aria-label="Token"
              aria-invalid={wrong.value !== ''}
              value={token.value}
              onInput={(event) => {
                token.value = event.currentTarget.value;
              }}
            />
          </label>
          {wrong.value !== '' && (
            <p class="wrong-text" role="alert">
              {wrong.value}
            </p>
          )}
          <div class="row">
            <span class="quiet small">
              Whoever runs it makes one: <code>waddle token create</code>
            </span>
            <span class="grow" />
            <button type="submit" class="button primary" disabled={busy.value}>
              Open
            </button>
          </div>
        </form>
      </div>
    </>
  );
}
