import type { TSchema } from 'typebox';
import { WaddleError } from '../../errors/waddle-error.ts';
import type { Subscribe, Watch } from '../../protocol/api.ts';
import * as schemas from '../../protocol/live-schemas.ts';
import { problemIn } from '../validate.ts';

/** @throws WaddleError `message-invalid` */
export function readMessage(text: string): Subscribe | Watch {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('it is not JSON');
  }
  const type = (value as { type?: unknown } | null)?.type;
  const schema: TSchema | undefined =
    type === 'subscribe' ? schemas.Subscribe : type === 'watch' ? schemas.Watch : undefined;
  if (schema === undefined) throw invalid('its "type" is neither "subscribe" nor "watch"');
  const problem = problemIn(schema, value);
  if (problem !== undefined) throw invalid(problem);
  return value as Subscribe | Watch;
}

function invalid(problem: string): WaddleError {
  return new WaddleError(
    'message-invalid',
    `the message is not understood: ${problem}`,
    'Send for example: {"type": "subscribe", "runs": ["…"], "keys": ["loss"], "since": 0}',
  );
}
