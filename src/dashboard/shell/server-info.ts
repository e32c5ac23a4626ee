/** Who serves this page, and what it opens to whoever looks at it. */
import { computed, signal } from '@preact/signals';
import type { Health, Session } from '../../protocol/api.ts';
import { getHealth, getJson } from '../api/client.ts';

export const health = signal<Health | null>(null);
/** Of a collector; null on a server of one's own. */
export const session = signal<Session | null>(null);

/** A token that only reads is offered nothing that the collector would refuse. */
export const mayEdit = computed(() => session.value?.scope !== 'read');

/** Called once; the offline bar and the views tell where it fails. */
export function startServerInfo(): void {
  getHealth()
    .then((answer) => {
      health.value = answer;
      return answer.collector ? getJson<Session>('/api/session') : null;
    })
    .then(
      (answer) => {
        session.value = answer;
      },
      () => {},
    );
}
