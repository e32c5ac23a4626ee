import { useSignal } from '@preact/signals';
import { IconButton } from './icon-button.tsx';

/** Copies a text; says so by its mark for a moment. */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const done = useSignal(false);
  const copy = async (event: Event) => {
    event.stopPropagation();
    event.preventDefault();
    await copyText(text);
    done.value = true;
    setTimeout(() => {
      done.value = false;
    }, 1200);
  };
  return <IconButton icon={done.value ? 'check' : 'copy'} label={label} class="tiny" onClick={copy} />;
}

/** The clipboard is closed to pages of plain http on another host: then by a selection. */
export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'sr-only';
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
}

export function Command({ text }: { text: string }) {
  return (
    <span class="command">
      <code>{text}</code>
      <CopyButton text={text} label="Copy command" />
    </span>
  );
}
