/** JSON as a tree that opens. */
import { useSignal } from '@preact/signals';
import { Icon } from '../parts/icon.tsx';
import { formatValue, isObject } from './values.ts';

const MANY = 500;

export function JsonNode({ name, value, depth }: { name: string | null; value: unknown; depth: number }) {
  const open = useSignal(depth < 2);
  const list = Array.isArray(value);
  const entries: [string, unknown][] = list
    ? value.slice(0, MANY).map((child, index): [string, unknown] => [String(index), child])
    : isObject(value)
      ? Object.entries(value).slice(0, MANY)
      : [];
  const count = list ? value.length : isObject(value) ? Object.keys(value).length : 0;
  const label = name === null ? '' : name;
  if (count === 0) {
    const kind = value === null ? 'null' : list || isObject(value) ? 'empty' : typeof value;
    const text =
      typeof value === 'string'
        ? JSON.stringify(value)
        : list
          ? '[]'
          : isObject(value)
            ? '{}'
            : formatValue(value);
    return (
      <div class="json-leaf">
        {name !== null && <span class="json-key">{label}</span>}
        <span class={`json-${kind}`}>{text}</span>
      </div>
    );
  }
  return (
    <div class="json-branch">
      <button
        type="button"
        aria-expanded={open.value}
        onClick={() => {
          open.value = !open.value;
        }}
      >
        <Icon name={open.value ? 'down' : 'chevron'} />
        {name !== null && <span class="json-key">{label}</span>}
        <span class="quiet small">{list ? `${count} items` : `${count} keys`}</span>
      </button>
      {open.value && (
        <div class="json-children">
          {entries.map(([key, child]) => (
            <JsonNode key={key} name={key} value={child} depth={depth + 1} />
          ))}
          {count > MANY && <div class="quiet small json-leaf">and {count - MANY} more</div>}
        </div>
      )}
    </div>
  );
}
